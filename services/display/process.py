"""The display's process."""

import contextlib
import logging

import cv2

from emostream.services.display.access import Access, read_token
from emostream.services.display.app import application
from emostream.services.display.audience import Audience
from emostream.services.display.board import Board
from emostream.services.display.broadcast import Broadcast
from emostream.services.display.controls import Controls
from emostream.services.display.metrics import DisplayMetrics
from emostream.services.display.server import PageServer
from emostream.services.display.stage import DisplayStage, Outlet
from emostream.services.display.watch import Watch, metrics_urls
from emostream.services.display.window import Window
from emostream.shared.addresses import check_exposure, is_loopback, shifted_port
from emostream.shared.bus import LIVE_HWM, RESULTS_HWM, Subscription
from emostream.shared.config import Config
from emostream.shared.control import StreamSwitch
from emostream.shared.errors import EmostreamError
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Frame, Message
from emostream.shared.service import Service

# Pictures that may wait while one is encoded: fresh ones are worth more.
MOST_PICTURES = 10
TAKE_AT_MOST = 8
log = logging.getLogger("emostream")


def run(config: Config, instance: int) -> None:
    """Show all streams on the page until told to stop."""
    settings = config.display
    cv2.setNumThreads(1)
    host, _, port = settings.page.rpartition(":")
    check_exposure(host, f"display.page {settings.page}", "display", insecure=config.insecure)
    access = Access(read_token(settings.token_file), is_exposed=not is_loopback(host))
    with (
        Service("display", config, settings.metrics, Frame, instance) as service,
        contextlib.ExitStack() as stack,
    ):
        publisher = service.publisher(settings.bind, RESULTS_HWM)
        board, metrics = Board(), DisplayMetrics(service.registry)
        audience = Audience(metrics.skipped, metrics.viewers.set)
        controls = Controls(StreamSwitch(config.blur, metrics.tell_blurred))
        outlets: list[Outlet] = [
            Broadcast(audience, metrics, controls.blur, settings.jpeg_quality, settings.max_fps)
        ]
        if settings.window:
            window = Window(service.stop.set, controls.blur)
            stack.callback(window.close)
            outlets.append(window)
        stage = DisplayStage(
            outlets, board, controls, metrics, service.bad_message, config.live.join_ms / 1000
        )
        watch = Watch(metrics_urls(config, service.metrics_url), lambda: audience.looks)
        stack.enter_context(watch)
        site = application(audience, board, controls, watch, access, service.stop)
        server = PageServer("display", host, shifted_port(int(port), instance), site)
        stack.enter_context(server)
        # Event streams end with this, where the stage ends without having been told to stop.
        stack.callback(service.stop.set)
        inbox = FifoInbox(service.metrics.dropped, MOST_PICTURES)
        service.receive(
            [
                Subscription(config.connect.emotion, ["event/", "emotion/"], RESULTS_HWM),
                Subscription(config.connect.control, ["control/"], RESULTS_HWM),
                Subscription(config.connect.frame, ["frame/"], LIVE_HWM),
            ],
            inbox,
        )
        log.info("the page is on %s", server.url)

        def step(messages: list[Message]) -> list[Message]:
            if not server.alive:
                raise EmostreamError("display: the page's server ended")
            return stage(messages)

        service.run(inbox, step, publisher, limit=TAKE_AT_MOST)
