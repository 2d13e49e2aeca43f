"""The display's process."""

import contextlib
import logging

import cv2

from services.display.hub import Hub
from services.display.server import Server
from services.display.stage import DisplayStage, Looks
from services.display.window import Window
from shared.bus import LIVE_HWM, PORT_STEP, RESULTS_HWM, Subscription, check_exposure
from shared.config import Config
from shared.inbox import FullInbox
from shared.messages import Frame
from shared.service import Service

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
    with (
        Service("display", config, settings.metrics, Frame, instance) as service,
        contextlib.ExitStack() as stack,
    ):
        publisher = service.publisher(settings.bind, RESULTS_HWM)
        hub = Hub()
        server = Server(hub, host, int(port) + PORT_STEP * instance if int(port) else 0)
        stack.callback(server.close)
        draw = None
        if settings.window:
            draw = stack.enter_context(contextlib.closing(Window(service.stop.set))).draw
        stage = DisplayStage(
            hub,
            service.registry,
            service.bad_message,
            looks=Looks(config.live.join_ms / 1000, settings.jpeg_quality, settings.max_fps),
            draw=draw,
        )
        inbox = FullInbox(service.metrics.dropped, MOST_PICTURES)
        service.receive(
            [
                Subscription(config.connect.emotion, ["event/", "emotion/"], RESULTS_HWM),
                Subscription(config.connect.frame, ["frame/"], LIVE_HWM),
            ],
            inbox,
        )
        log.info("the page is on %s", server.url)
        service.run(inbox, stage, publisher, limit=TAKE_AT_MOST)
