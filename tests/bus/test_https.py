"""HTTPS at the page and the metrics: what is encrypted, renewed, and bounded."""

import contextlib
import functools
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from prometheus_client import CollectorRegistry
from websockets.sync.client import connect

from emostream.services.cli.processes.down_page import answer_as_down
from emostream.services.cli.processes.liveness import Answer, ask
from emostream.services.cli.processes.pipeline import free_ports
from emostream.shared.config import Config, load
from emostream.shared.errors import ConfigError
from emostream.shared.health import Health
from emostream.shared.http_access import HttpAccess
from emostream.shared.http_connections import HttpLimits
from emostream.shared.http_server import HttpServer
from emostream.shared.messages import Frame
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape
from emostream.shared.metrics import StageMetrics
from emostream.shared.metrics_client import MetricsClient
from emostream.shared.metrics_server import MetricsServer
from emostream.shared.scraping import WITHOUT_TOKEN, Scraper, json_answer, missing, scrape
from emostream.shared.service import Service
from emostream.shared.tls import Certificate, unverified_context
from emostream.shared.token_files import Role
from tests.bus.site import emotion, serving
from tests.bus.test_http_limits import echo
from tests.certificates import Pair, certificate
from tests.conftest import require_tool
from tests.monitoring import PROMETHEUS
from tests.web_access import access

WAIT = 30.0


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return certificate(tmp_path)


@contextmanager
def encrypted(pair: Pair, connections: int = 8, request_s: float = 60.0) -> Iterator[HttpServer]:
    """Serve `echo` by HTTPS."""
    limits = HttpLimits(connections, request_s, 60.0)
    of = Certificate(str(pair.cert), str(pair.key))
    address = ("127.0.0.1", 0)
    with HttpServer("display", "page", address, echo, limits, certificate=of) as server:
        yield server


def trusting(*pairs: Pair) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for pair in pairs:
        context.load_verify_locations(pair.cert)
    return context


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_page_its_pictures_and_its_cookie_are_encrypted(pair: Pair) -> None:
    of = Certificate(str(pair.cert), str(pair.key))
    with serving(access("sesame", guarded=True), certificate=of) as site:
        site.state.add_results(emotion("fear"))
        assert site.server.url.startswith("https://")
        with httpx2.Client(
            base_url=site.server.url, verify=trusting(pair), trust_env=False
        ) as browser:
            answer = browser.post("/signin", data={"token": "sesame"})
            assert answer.headers["set-cookie"].startswith("__Host-emostream-")
            assert "; Secure" in answer.headers["set-cookie"]
            # Larger than what TLS sends at once.
            assert len(browser.get("/plotly.min.js").content) > 3_000_000
            cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        url = site.server.url.replace("https", "wss") + "/live"
        with connect(
            url, additional_headers={"cookie": cookie}, ssl=trusting(pair), proxy=None
        ) as viewer:
            assert "fear" in viewer.recv(timeout=WAIT)
        with pytest.raises(httpx2.TransportError):
            httpx2.get(site.server.url.replace("https", "http") + "/signin", trust_env=False)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
def test_old_versions_are_refused(pair: Pair, version: ssl.TLSVersion) -> None:
    context = unverified_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        pytest.warns(DeprecationWarning)
        if version == ssl.TLSVersion.TLSv1_1
        else (contextlib.nullcontext())
    ):
        context.minimum_version = version
        context.maximum_version = version
    with encrypted(pair) as server, socket.create_connection(("127.0.0.1", server.port)) as plain:
        if version == ssl.TLSVersion.TLSv1_1:
            with pytest.raises(OSError):
                context.wrap_socket(plain)
        else:
            with context.wrap_socket(plain) as client:
                assert client.version() == "TLSv1.2"


def served(port: int) -> bytes | None:
    """Return the certificate that a new connection gets."""
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with unverified_context().wrap_socket(plain) as client:
            return client.getpeercert(binary_form=True)


def test_a_renewed_certificate_is_used_for_new_connections(
    pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "new").mkdir()
    new = certificate(tmp_path / "new")
    with encrypted(pair) as server, httpx2.Client(verify=trusting(pair), trust_env=False) as client:
        assert client.get(server.url).text == "0"
        before = served(server.port)
        # Between the two files the pair does not fit: the one before stays.
        shutil.copyfile(new.cert, pair.cert)
        until(lambda: "does not belong to the certificate" in caplog.text)
        assert "the previous certificate stays in use" in caplog.text
        assert served(server.port) == before
        shutil.copyfile(new.key, pair.key)
        after = ssl.PEM_cert_to_DER_cert(new.cert.read_text())
        until(lambda: served(server.port) == after)
        # The connection that is open continues.
        assert client.get(server.url).text == "0"


def test_who_never_ends_a_handshake_is_bounded_and_disconnected(pair: Pair) -> None:
    with encrypted(pair, connections=4, request_s=1.5) as server, contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            for _ in range(12)
        ]
        silent[-1].sendall(b"\x16\x03\x01")
        # They gave way to it.
        answer = httpx2.get(server.url, verify=trusting(pair), trust_env=False, timeout=WAIT)
        assert answer.text == "0"
        for client in silent:
            client.settimeout(WAIT)
            with contextlib.suppress(ConnectionError):
                while client.recv(1024):
                    pass
        until(lambda: not server._server.server_state.connections)


def test_what_is_no_tls_is_disconnected_and_others_are_served(pair: Pair) -> None:
    with encrypted(pair) as server:
        for junk in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 1000, b"\x16\x03\x01\xff\xff"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as client:
                client.sendall(junk)
                client.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionError):
                    assert b"HTTP" not in b"".join(iter(lambda: client.recv(1024), b""))
        assert httpx2.get(server.url, verify=trusting(pair), trust_env=False).text == "0"


def test_a_request_that_comes_with_the_handshake_is_answered_encrypted(pair: Pair) -> None:
    """The end of a handshake and the first request may come in one packet."""
    with encrypted(pair) as server:
        context = trusting(pair)
        for _ in range(5):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
            with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as plain:
                done = False
                while not done:
                    try:
                        client.do_handshake()
                        client.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                        done = True
                    except ssl.SSLWantReadError:
                        pass
                    plain.sendall(outgoing.read())
                    if not done:
                        incoming.write(plain.recv(65536))
                answer = b""
                while b"\r\n\r\n0" not in answer:
                    with contextlib.suppress(ssl.SSLWantReadError):
                        answer += client.read(65536)
                        continue
                    received = plain.recv(65536)
                    assert received, answer
                    incoming.write(received)
                assert answer.startswith(b"HTTP/1.1 200")


class Stage:
    """A detector's metrics by HTTPS and with a token, as beyond loopback."""

    def __init__(self, pair: Pair, token: str) -> None:
        registry = CollectorRegistry()
        self.metrics = StageMetrics("detector", registry)
        self.health = Health(10)
        self.wrong = 0
        of = Certificate(str(pair.cert), str(pair.key))
        self.metrics.certificates.add("metrics", of)
        guarded = HttpAccess({Role.METRICS: lambda: token}, True, True, of)
        self.server = MetricsServer(
            "detector", "127.0.0.1", 0, registry, self.health, guarded, self._count
        )
        self.server.serve_json("/sources", list)
        self.url = f"https://127.0.0.1:{self.server.port}/metrics"

    def _count(self) -> None:
        self.wrong += 1


@pytest.fixture
def stage(pair: Pair) -> Iterator[Stage]:
    made = Stage(pair, "sesame")
    with closing(made.server):
        yield made


def client_config(tmp_path: Path, pair: Pair | None, token: str = "sesame") -> Config:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(token)
    settings = [f'security.metrics_token_file="{file}"']
    if pair:
        settings += [f'display.tls_cert="{pair.cert}"', f'display.tls_key="{pair.key}"']
    return load(None, settings)


def test_metrics_take_the_token_and_health_takes_none(stage: Stage, pair: Pair) -> None:
    def get(path: str, token: str | None = None) -> httpx2.Response:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        url = stage.url.replace("/metrics", path)
        return httpx2.get(url, headers=headers, verify=trusting(pair), trust_env=False)

    for path in ("/metrics", "/", "/sources", "/none", "//metrics", "/metrics/"):
        assert get(path).status_code == 401, path
    assert get("/metrics").headers["www-authenticate"] == "Bearer"
    assert get("/metrics", "wrong").status_code == 401
    assert stage.wrong == 1
    assert "emostream_ready" in get("/metrics", "sesame").text
    assert get("/livez").json()["live"] is True
    # Which streams and files are missing is for those with the token.
    stage.health.set_missing("cam1", "rtsp://door is lost")
    assert get("/readyz").json() == {"ready": False}
    assert "rtsp" in get("/readyz", "sesame").text


def test_our_own_commands_present_the_token_to_their_own_certificate(
    stage: Stage, pair: Pair, tmp_path: Path
) -> None:
    stage.health.set_missing("model", "no model")
    client = MetricsClient(client_config(tmp_path, pair))
    assert isinstance(scrape(stage.url, client), Scrape)
    assert "no model" in missing(stage.url, client)
    scraper = Scraper([stage.url], client)
    scraper.scrape()
    assert not scraper.failures
    assert stage.wrong == 0
    wrong = MetricsClient(client_config(tmp_path, pair, "wrong"))
    assert scrape(stage.url, wrong) == WITHOUT_TOKEN


def days_left(found: Scrape | str) -> float:
    """Return in how many days the certificate of the metrics expires, as they say."""
    assert isinstance(found, Scrape)
    (address,) = found.values(MetricName.CERTIFICATE_EXPIRY, "address")
    assert address == "metrics"
    return (found.total(MetricName.CERTIFICATE_EXPIRY) - time.time()) / 86_400


def test_the_metrics_say_when_the_certificate_in_use_expires(
    stage: Stage, pair: Pair, tmp_path: Path
) -> None:
    client = MetricsClient(client_config(tmp_path, pair))
    assert days_left(scrape(stage.url, client)) == pytest.approx(30, abs=0.1)
    (tmp_path / "new").mkdir()
    new = certificate(tmp_path / "new", days=10)
    shutil.copyfile(new.key, pair.key)
    # As long as the two do not fit, the one before is what clients see.
    assert days_left(scrape(stage.url, client)) == pytest.approx(30, abs=0.1)
    shutil.copyfile(new.cert, pair.cert)
    until(lambda: days_left(scrape(stage.url, client)) < 11)


def test_a_stage_says_when_the_certificate_of_its_metrics_expires(
    pair: Pair, tmp_path: Path
) -> None:
    config = client_config(tmp_path, pair)
    detector = msgspec.structs.replace(config.detector, metrics="0.0.0.0:9102")
    config = msgspec.structs.replace(config, detector=detector)
    service = Service("detector", config, "127.0.0.1:0", Frame, 0)
    with service.bus:
        found = service.registry.get_sample_value(
            MetricName.CERTIFICATE_EXPIRY, {"stage": "detector", "address": "metrics"}
        )
    assert found == pytest.approx(time.time() + 30 * 86_400, abs=3600)


def test_what_another_process_answers_may_be_anything(
    stage: Stage, pair: Pair, tmp_path: Path
) -> None:
    client = MetricsClient(client_config(tmp_path, pair))
    for body in (b"[" * 100_000, b'{"sources": ' + b"[" * 100_000, b"\xff", b""):
        stage.server.serve_json("/sources", functools.partial(msgspec.Raw, body))
        assert json_answer(stage.url, "/sources", list[Any], client) is None


def test_a_foreign_certificate_gets_no_token(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for own in (certificate(tmp_path / "other"), None):
        client = MetricsClient(client_config(tmp_path, own, "not for everyone"))
        assert scrape(stage.url, client) == "self-signed certificate"
    assert stage.wrong == 0


def test_a_supervisor_sees_whether_an_encrypted_stage_lives(stage: Stage) -> None:
    address = ("127.0.0.1", stage.server.port, os.getpid(), WAIT)
    assert ask(*address, is_https=True) is Answer.STARTING
    assert ask(*address) is Answer.OTHER


def test_a_redirect_does_not_carry_the_token_elsewhere(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def redirect(listening: socket.socket, target: str) -> None:
        with listening.accept()[0] as client:
            seen.append(client.recv(65536))
            words = f"HTTP/1.1 302 x\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
            client.sendall(words.encode())

    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("127.0.0.1", 0)) as second,
    ):
        urls = [f"http://127.0.0.1:{each.getsockname()[1]}/metrics" for each in (first, second)]
        threads = [
            threading.Thread(target=redirect, args=(each, urls[1])) for each in (first, second)
        ]
        for thread in threads:
            thread.start()
        scrape(urls[0], MetricsClient(client_config(tmp_path, None)))
        for thread in threads:
            thread.join(WAIT)
    assert [b"sesame" in request for request in seen] == [True, False]


def test_prometheus_reads_metrics_with_the_shipped_configuration(
    stage: Stage, pair: Pair, tmp_path: Path
) -> None:
    for name in ("prometheus.tls.yml", "rules.yml"):
        text = (PROMETHEUS / name).read_text("utf-8").replace("interval: 15s", "interval: 1s")
        (tmp_path / name).write_text(text)
    (tmp_path / "targets.yml").write_text(f"- targets: ['127.0.0.1:{stage.server.port}']\n")
    (tmp_path / "metrics.token").write_text("sesame\n")
    shutil.copy(pair.cert, tmp_path / "tls.crt")
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [
            require_tool("prometheus"),
            f"--config.file={tmp_path / 'prometheus.tls.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stderr=subprocess.DEVNULL,
    )

    def targets() -> list[Any]:
        try:
            url = f"http://127.0.0.1:{port}/api/v1/targets"
            found = httpx2.get(url, trust_env=False).json()
        except (httpx2.TransportError, ValueError):
            return []
        return [one for one in found["data"]["activeTargets"] if one["lastScrape"][:4] != "0001"]

    try:
        until(targets)
        (target,) = targets()
        assert (target["health"], target["lastError"]) == ("up", "")
    finally:
        process.terminate()
        process.wait(WAIT)
    assert stage.wrong == 0


def test_a_supervisor_answers_for_a_stage_that_is_down_as_the_stage_would(pair: Pair) -> None:
    of = Certificate(str(pair.cert), str(pair.key))
    guarded = HttpAccess({Role.METRICS: lambda: "sesame"}, True, True, of)
    (port,) = free_ports(1)
    with answer_as_down("detector", "127.0.0.1", port, "died", lambda: guarded):
        url = f"https://127.0.0.1:{port}"
        ready = httpx2.get(f"{url}/readyz", verify=trusting(pair), trust_env=False)
        assert (ready.status_code, ready.json()) == (503, {"ready": False})
        refused = httpx2.get(f"{url}/metrics", verify=trusting(pair), trust_env=False)
        assert refused.status_code == 401
        token = {"authorization": "Bearer sesame"}
        told = httpx2.get(f"{url}/metrics", headers=token, verify=trusting(pair), trust_env=False)
        assert MetricName.CERTIFICATE_EXPIRY + '{address="metrics"' in told.text

    def unusable() -> HttpAccess:
        raise ConfigError("no token")

    with answer_as_down("detector", "127.0.0.1", port, "died", unusable):
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port))
