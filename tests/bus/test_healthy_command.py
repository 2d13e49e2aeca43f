"""`emostream healthy` against real metrics ports: plain, with a token, and by HTTPS."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from emostream.services.cli.main import main
from emostream.shared.config import load
from emostream.shared.health import Health
from emostream.shared.http_access import OPEN, HttpAccess, metrics_access
from emostream.shared.metrics_server import MetricsServer
from tests.certificates import certificate


@pytest.fixture
def health() -> Health:
    """A stage whose loop goes round, and which lacks nothing."""
    health = Health(10)
    health.beat()
    return health


def serve(health: Health, access: HttpAccess = OPEN) -> MetricsServer:
    return MetricsServer("capture", "127.0.0.1", 0, CollectorRegistry(), health, access)


@pytest.fixture
def address(health: Health) -> Iterator[str]:
    with closing(serve(health)) as server:
        yield f"127.0.0.1:{server.port}"


def ask(address: str, *words: str) -> int:
    return main(["healthy", "capture", "--set", f"capture.metrics={address}", *words])


def test_a_stage_that_is_well_is_told_by_exit_code_0_and_one_line(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(address) == 0
    assert capsys.readouterr().out == "capture is live (running)\n"
    assert ask(address, "--ready") == 0
    assert capsys.readouterr().out == "capture is ready\n"


def test_one_that_is_not_ready_says_what_is_missing(
    address: str, health: Health, capsys: pytest.CaptureFixture[str]
) -> None:
    health.set_missing("source", "cam1 is lost: no such device")
    assert ask(address, "--ready") == 1
    assert capsys.readouterr().err == (
        "error: capture is not ready: cam1 is lost: no such device\n"
    )
    # Its loop goes round all the same.
    assert ask(address) == 0


def test_one_that_is_down_is_not_live(
    address: str, health: Health, capsys: pytest.CaptureFixture[str]
) -> None:
    health.set_down("died with exit code 1")
    assert ask(address) == 1
    assert "capture is not live" in capsys.readouterr().err


def test_what_does_not_answer_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert ask(address) == 1  # it takes the connection, and says nothing
        assert "timed out" in capsys.readouterr().err
    assert ask(address) == 1
    error = capsys.readouterr().err
    assert error == (
        f"error: capture does not answer at http://{address}/livez: Connection refused\n"
    )


def test_the_instance_has_its_own_port(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    host, _, port = address.rpartition(":")
    assert ask(f"{host}:{int(port) - 100}", "--instance", "1") == 0


def test_a_port_that_only_the_stage_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("127.0.0.1:0") == 2
    assert "capture.metrics has port 0" in capsys.readouterr().err


def test_the_token_of_the_configuration_is_presented(
    health: Health, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "metrics.token"
    token.touch(0o600)
    token.write_text("right")
    health.set_missing("source", "cam1 is lost")
    named = f"security.metrics_token_file={token}"
    access = metrics_access(load(None, [named]), "capture")
    with closing(serve(health, access)) as server:
        address = f"127.0.0.1:{server.port}"
        assert ask(address, "--ready", "--set", named) == 1
        assert "cam1 is lost" in capsys.readouterr().err
        assert ask(address, "--ready") == 1
        assert "it does not say why" in capsys.readouterr().err


def test_an_encrypted_port_is_asked_with_this_hosts_certificate(
    health: Health, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def words(name: str) -> list[str]:
        """Return the words that name a certificate, and trust the network with the rest."""
        cert, key = certificate(tmp_path, name)
        settings = (f"display.tls_cert={cert}", f"display.tls_key={key}", "security.mode=disabled")
        return [word for setting in settings for word in ("--set", setting)]

    own, other = words("own"), words("other")
    # A host by whose name this machine is reached counts as beyond loopback.
    exposed = ["capture.metrics=Localhost:9101", *own[1::2]]
    access = metrics_access(load(None, exposed), "capture")
    with closing(serve(health, access)) as server:
        address = f"Localhost:{server.port}"
        assert ask(address, *own) == 0
        assert capsys.readouterr().out == "capture is live (running)\n"
        assert ask(address, *other) == 1
        assert "certificate" in capsys.readouterr().err.lower()
