"""Fetching weights from a real HTTP server that behaves well, badly, or not at all."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from emostream.services.detector.weights import YUNET_SHA256, YUNET_URL, fetch_yunet, yunet_path
from emostream.shared.errors import WeightsError

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves /good, /stalled (which stops half way), /short (which hangs up), and nothing else."""

    hang = threading.Event()
    requests = 0

    def do_GET(self) -> None:
        Handler.requests += 1
        if self.path not in ("/good", "/stalled", "/short"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path == "/good" else CONTENT[:1000])
        if self.path == "/stalled":
            self.wfile.flush()
            self.hang.wait(20)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    Handler.hang.clear()
    Handler.requests = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        Handler.hang.set()
        http.shutdown()
        thread.join()


def test_good_weights_are_kept_whole(server: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = tmp_path / "cache" / "weights.onnx"
    path = fetch_yunet(
        target,
        url=f"{server}/good",
        sha256=SHA256,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert list(target.parent.iterdir()) == [target]


def test_what_is_there_is_not_fetched_again(server: str, tmp_path: Path) -> None:
    target = tmp_path / "weights.onnx"
    target.write_bytes(CONTENT)
    fetch_yunet(target, url=f"{server}/good", sha256=SHA256)
    assert Handler.requests == 0
    target.write_bytes(b"broken")
    fetch_yunet(target, url=f"{server}/good", sha256=SHA256)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("/good", "0" * 64, "was discarded"),
        ("/missing", SHA256, "404"),
        ("/stalled", SHA256, "cannot be fetched"),
        ("/short", SHA256, "was discarded|cannot be fetched"),
    ],
)
def test_bad_downloads_leave_nothing_behind(
    server: str, tmp_path: Path, path: str, sha256: str, message: str
) -> None:
    target = tmp_path / "weights.onnx"
    with pytest.raises(WeightsError, match=message) as caught:
        fetch_yunet(target, url=server + path, sha256=sha256, timeout=0.3)
    assert "\n" not in str(caught.value)
    assert "detector.weights" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        port = http.server_port
    with pytest.raises(WeightsError, match="cannot be fetched"):
        fetch_yunet(tmp_path / "w", url=f"http://127.0.0.1:{port}/good", timeout=0.3)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match="cannot be written"):
        fetch_yunet(tmp_path / "file" / "weights.onnx", url="http://127.0.0.1:9/")


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert yunet_path() == tmp_path / "emostream" / "face_detection_yunet_2023mar.onnx"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert yunet_path().parent == Path.home() / ".cache" / "emostream"


def test_the_published_file_is_pinned() -> None:
    assert YUNET_URL.startswith("https://")
    assert len(YUNET_SHA256) == 64
