"""The display's process."""

import contextlib
import functools
import logging

import cv2

from emostream.services.display.commands import CommandHandler
from emostream.services.display.desktop_window import DesktopWindow
from emostream.services.display.display_state import DisplayState
from emostream.services.display.metrics import DisplayMetrics
from emostream.services.display.page_sink import PageSink
from emostream.services.display.stage import DisplayStage, FrameSink, ProgressSink
from emostream.services.display.status_poller import StatusPoller, metrics_urls
from emostream.services.display.viewers import ViewerPool
from emostream.services.display.web.access import Access, create_token, read_token
from emostream.services.display.web.app import application
from emostream.services.display.web.server import PageServer
from emostream.shared.addresses import check_http_exposure, is_loopback, shifted_port
from emostream.shared.bus import LIVE_HWM, RESULTS_HWM, Subscription
from emostream.shared.config import Config
from emostream.shared.control import StreamSwitch
from emostream.shared.errors import EmostreamError
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Frame, Message
from emostream.shared.optional_groups import require
from emostream.shared.service import Service

# Pictures that may wait while one is encoded: fresh ones are worth more.
MAX_PICTURES = 10
MAX_TAKEN = 8
log = logging.getLogger("emostream")


def run(config: Config, instance: int) -> None:
    """Show all streams on the page until told to stop."""
    settings = config.display
    # Only a browser's first request would find these missing.
    require("emostream display", "display", "plotly", "websockets")
    cv2.setNumThreads(1)
    host, _, port = settings.page.rpartition(":")
    is_disabled = config.security.is_disabled
    check_http_exposure(host, f"display.page {settings.page}", "display", is_disabled=is_disabled)
    if settings.create_token:
        create_token(settings.token_file)
    access = Access(read_token(settings.token_file), is_exposed=not is_loopback(host))
    with (
        Service("display", config, settings.metrics, Frame, instance) as service,
        contextlib.ExitStack() as stack,
    ):
        publisher = service.publisher(settings.bind, RESULTS_HWM)
        display_state, metrics = DisplayState(), DisplayMetrics(service.registry)
        viewers = ViewerPool(metrics.count_skipped, metrics.viewers.set)
        commands = CommandHandler(StreamSwitch(config.blur, metrics.set_blurred))
        sinks: list[FrameSink] = [
            PageSink(viewers, metrics, commands.blur, settings.jpeg_quality, settings.max_fps),
            ProgressSink(service.health.mark_progress),
        ]
        if settings.window:
            window = DesktopWindow(service.stop.set, commands.blur)
            sinks.append(stack.enter_context(contextlib.closing(window)))
        stage = DisplayStage(
            sinks, display_state, commands, metrics, service.bad_message, config.live.join_ms / 1000
        )
        service.on_stream_gone(stage.forget)
        poller = StatusPoller(
            metrics_urls(config, service.metrics_url), lambda: viewers.has_viewers
        )
        stack.enter_context(poller)
        site = application(viewers, display_state, commands, poller, access, service.stop, config)
        page_port = shifted_port(int(port), instance)
        server = PageServer("display", host, page_port, site, settings.max_viewers)
        stack.enter_context(server)
        # Event streams end with this when the stage ends by itself.
        stack.callback(service.stop.set)
        inbox = FifoInbox(service.intake.dropped, MAX_PICTURES)
        service.receive(
            [
                Subscription(config.connect.emotion, ["event/", "emotion/"], RESULTS_HWM),
                Subscription(config.connect.control, ["control/"], RESULTS_HWM),
            ],
            inbox,
        )
        frames = Subscription(config.connect.frame, ["frame/"], LIVE_HWM)
        service.receive([frames], inbox, paced=True)
        log.info("the page is on %s", server.url)
        step = functools.partial(_step, stage, server)
        service.run(inbox, step, publisher, limit=MAX_TAKEN, reports_progress=True)


def _step(stage: DisplayStage, server: PageServer, messages: list[Message]) -> list[Message]:
    if not server.alive:
        raise EmostreamError("display: the page's server ended")
    return stage(messages)
