"""`emostream top` against real metrics ports, one of which hangs."""

import argparse
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prometheus_client import CollectorRegistry

from emostream.services.cli.top import command as top
from emostream.shared import scraping
from emostream.shared.bus import Bus
from emostream.shared.health import Health
from emostream.shared.messages import Message
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape
from emostream.shared.metrics import StageMetrics
from emostream.shared.metrics_client import TIMEOUT
from emostream.shared.metrics_server import MetricsServer
from tests.builders import emotion, face


@pytest.fixture
def stage() -> Iterator[tuple[StageMetrics, str]]:
    """A stage's metrics and the address that answers for them."""
    registry = CollectorRegistry()
    metrics = StageMetrics("capture", registry)
    metrics.given("cam1", 0.001)
    with closing(MetricsServer("capture", "127.0.0.1", 0, registry, Health(10))) as server:
        yield metrics, f"127.0.0.1:{server.port}"


@pytest.fixture
def hanging() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


class _WebPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/none" else 200)
        self.end_headers()
        self.wfile.write(b"<html>It works!</html>" if self.path == "/page" else b"\xff\xfe")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web_server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _WebPage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_one_dead_host_delays_no_other(
    stage: tuple[StageMetrics, str], hanging: str, closed: str
) -> None:
    urls = [f"http://{address}/metrics" for address in (hanging, hanging + "0", closed, stage[1])]
    scraper = scraping.Scraper(urls)
    started = time.monotonic()
    scraper.scrape()
    assert time.monotonic() - started < 3 * TIMEOUT
    last = scraper.histories[urls[3]].last
    assert last is not None
    assert last.total(MetricName.FRAMES_GIVEN) == 1
    assert set(scraper.failures) == set(urls[:3])
    assert scraper.failures[urls[0]] == "timed out"
    assert scraper.failures[urls[2]] == "Connection refused"
    assert len(scraper.answering()) == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [("/none", "Not Found"), ("/page", "not a metrics page"), ("/bytes", "not a metrics page")],
)
def test_a_port_of_something_else_is_said(path: str, said: str) -> None:
    with web_server() as address:
        answer = scraping.scrape(address + path)
    assert isinstance(answer, str)
    assert said in answer


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Answer each connection with what `answer` writes to it; give the URL."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                with client, suppress(OSError):
                    client.recv(65536)
                    answer(client)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def flood(client: socket.socket) -> None:
    """Answer without an end."""
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        client.sendall(b"#" * 2**20)


def trickle(client: socket.socket) -> None:
    """Answer a byte at a time."""
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        client.sendall(b"#")
        time.sleep(TIMEOUT / 20)


def break_off(client: socket.socket) -> None:
    """Answer less than was announced."""
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (flood, "its answer is longer than 4 MiB"),
        (trickle, "its answer arrives too slowly"),
        (break_off, "IncompleteRead"),
    ],
)
def test_an_answer_without_an_end_is_given_up(
    answer: Callable[[socket.socket], None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraping, "MAX_PAGE_BYTES", 4 * 2**20)
    monkeypatch.setattr(scraping, "READ_WITHIN_S", 0.3)
    with raw_server(answer) as url:
        reason = scraping.scrape(f"{url}/metrics")
        assert isinstance(reason, str)
        assert said in reason
        assert scraping.missing(f"{url}/metrics") == ""


def test_a_proxy_of_the_environment_is_not_asked(
    stage: tuple[StageMetrics, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert isinstance(scraping.scrape(f"http://{stage[1]}/metrics"), Scrape)


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    top.add_options(parser)
    nowhere = [f"--set={stage}.metrics=127.0.0.1:{port}" for stage, port in NOWHERE.items()]
    silent = "--set=connect.emotion=['tcp://127.0.0.1:7']"
    return parser.parse_args([*nowhere, silent, *words])


# Reserved ports below 10, on which nothing listens.
NOWHERE = {"capture": 2, "detector": 3, "classifier": 4, "recorder": 5, "display": 6}


def test_without_a_terminal_one_plain_table_is_printed(
    stage: tuple[StageMetrics, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert top.run(options("--metrics", stage[1])) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert f"capture {stage[1]}" in out
    assert "cam1" in out
    assert out.count("no answer from") == 5


def test_the_faces_of_each_stream_are_shown_by_small_numbers(
    stage: tuple[StageMetrics, str], capsys: pytest.CaptureFixture[str]
) -> None:
    stop = threading.Event()
    with Bus("test") as bus, closing(bus.publisher("tcp://127.0.0.1:*", 0)) as publisher:

        def publish() -> None:
            tracks = [(1_760_000_000 << 20) + n for n in (9017, 9018)]
            found = [face(tracks[0], "fear", confidence=0.7), face(tracks[1], "anger")]
            while not stop.wait(0.05):
                publisher.take_subscriptions()
                publisher.send(Message(emotion(0, *found)))

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            endpoint = f"--set=connect.emotion=['{publisher.endpoint}']"
            assert top.run(options("--metrics", stage[1], endpoint)) == 0
        finally:
            stop.set()
            thread.join()
    out = capsys.readouterr().out
    assert re.search(r"cam1 +#1 fear 70%, #2 anger \d+%", out)
    assert "9017" not in out


def test_when_nothing_answers_the_exit_code_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert top.run(options("--once")) == 1
    assert capsys.readouterr().out.count("no answer from") == 5
