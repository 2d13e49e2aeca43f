"""A display's server with nothing behind it but what the test puts on its state."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx2
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from emostream.services.display.commands import CommandHandler
from emostream.services.display.display_state import DisplayState
from emostream.services.display.status_poller import StatusPoller
from emostream.services.display.viewers import ViewerPool
from emostream.services.display.web.access import Access
from emostream.services.display.web.app import DEFAULTS, application
from emostream.services.display.web.server import PageServer
from emostream.shared.config import Config
from emostream.shared.control import StreamSwitch
from emostream.shared.messages import Emotion
from emostream.shared.tls import Certificate
from tests import builders
from tests.builders import face


def emotion(*labels: str) -> Emotion:
    """Return the results of a face that shows all labels of the model equally."""
    shares = dict.fromkeys(labels, 1 / len(labels))
    return builders.emotion(0, face(label=labels[0], probabilities=shares, smoothed=shares))


class Site:
    """A server with its pool and state; `stages` maps the URLs of metrics to stages."""

    def __init__(
        self,
        access: Access,
        stages: Mapping[str, str],
        config: Config,
        certificate: Certificate | None,
    ) -> None:
        self.pool = ViewerPool(lambda stream: None, self._count)
        self.viewers = 0
        self.state = DisplayState()
        self.commands = CommandHandler(StreamSwitch(False))
        self.poller = StatusPoller(stages, lambda: self.pool.has_viewers)
        self.stop = threading.Event()
        site = application(
            self.pool, self.state, self.commands, self.poller, access, self.stop, config
        )
        self.server = PageServer("display", "127.0.0.1", 0, site, certificate=certificate)

    def _count(self, viewers: int) -> None:
        self.viewers = viewers

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return httpx2.get(self.server.url + path, headers=headers, trust_env=False)

    def post(self, content: bytes | str, **headers: str) -> httpx2.Response:
        """Give a command, as JSON unless the headers say otherwise."""
        given = {"content-type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        url = self.server.url + "/api/control"
        return httpx2.post(url, content=content, headers=given, trust_env=False)

    def connect(self, origin: str | None = None) -> ClientConnection:
        url = self.server.url.replace("http", "ws") + "/live"
        return connect(url, origin=Origin(origin) if origin else None, proxy=None)

    def wait_for_viewers(self, count: int) -> None:
        deadline = time.monotonic() + 10
        while self.viewers != count:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@contextmanager
def serving(
    access: Access | None = None,
    stages: Mapping[str, str] | None = None,
    config: Config = DEFAULTS,
    certificate: Certificate | None = None,
) -> Iterator[Site]:
    """Serve while the context lasts, on a free port."""
    site = Site(access or Access(), stages or {}, config, certificate)
    with site.server, site.poller:
        yield site
        site.stop.set()
    assert not site.server.alive
