"""The display's process."""

import contextlib
import functools
import logging

from emostream.services.display.commands import CommandHandler
from emostream.services.display.display_state import DisplayState
from emostream.services.display.frame_need import FrameNeed
from emostream.services.display.metrics import DisplayMetrics
from emostream.services.display.page_sink import PageSink
from emostream.services.display.stage import DisplayStage, FrameSink, ProgressSink
from emostream.services.display.status_poller import StatusPoller, metrics_urls
from emostream.services.display.viewers import ViewerPool
from emostream.services.display.web.access import Access
from emostream.services.display.web.app import application
from emostream.services.display.web.server import PageServer
from emostream.shared.addresses import shifted_port
from emostream.shared.bus import LIVE_HWM, RESULTS_HWM, Subscription
from emostream.shared.config import Config
from emostream.shared.control import StreamSwitch
from emostream.shared.counted_receiver import CountedReceiver
from emostream.shared.errors import EmostreamError
from emostream.shared.http_access import log_if_plain, page_access
from emostream.shared.inbox import FifoInbox
from emostream.shared.messages import Frame, Message
from emostream.shared.metrics_client import MetricsClient
from emostream.shared.optional_groups import require
from emostream.shared.service import Service
from emostream.shared.token_files import Role, create_token, token_path

# How many pictures may wait while one is encoded; few, because fresh ones are worth more.
MAX_PICTURES = 10
MAX_TAKEN = 8
log = logging.getLogger("emostream")


def run(config: Config, instance: int) -> None:
    """Show all streams on the page until stopped."""
    settings = config.display
    # Otherwise only a browser's first request would fail for lack of these.
    require("emostream display", "display", "plotly", "websockets")
    host, _, port = settings.page.rpartition(":")
    if settings.create_token:
        create_token(token_path(config, Role.OPERATOR))
    http = page_access(config)
    log_if_plain(http, f"display.page {settings.page}")
    with (
        Service("display", config, settings.metrics, Frame, instance) as service,
        contextlib.ExitStack() as stack,
    ):
        service.metrics.certificates.add("page", http.certificate)
        access = Access(http, service.metrics.wrong_token_counter("page"))
        publisher = service.publisher(settings.bind, RESULTS_HWM)
        display_state, metrics = DisplayState(), DisplayMetrics(service.registry)
        viewers = ViewerPool(metrics.count_skipped, metrics.viewers.set)
        commands = CommandHandler(StreamSwitch(config.blur, metrics.set_blurred))
        sinks: list[FrameSink] = [
            PageSink(viewers, metrics, commands.blur, settings.jpeg_quality, settings.max_fps),
            ProgressSink(service.health.mark_progress),
        ]
        if settings.window:
            # Imported here: OpenCV takes time and memory, and few displays have a window.
            from emostream.services.display.desktop_window import DesktopWindow

            window = DesktopWindow(service.stop.set, commands.blur)
            sinks.append(stack.enter_context(contextlib.closing(window)))
        stage = DisplayStage(
            sinks, display_state, commands, metrics, service.bad_message, config.live.join_ms / 1000
        )
        service.on_stream_gone(stage.forget)
        poller = StatusPoller(
            metrics_urls(config, service.metrics_url),
            lambda: viewers.has_viewers,
            MetricsClient(config),
        )
        stack.enter_context(poller)
        site = application(viewers, display_state, commands, poller, access, service.stop, config)
        page_port = shifted_port(int(port), instance)
        server = PageServer(
            "display", host, page_port, site, settings.max_viewers, http.certificate
        )
        stack.enter_context(server)
        # This ends event streams when the stage ends by itself.
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
        pixels = service.receive([frames], inbox, paced=True)
        need = FrameNeed(
            lambda: settings.window or viewers.has_viewers, display_state.least_analyzed
        )
        log.info("serving the page on %s", server.url)
        step = functools.partial(_step, stage, server, pixels, need)
        service.loop.run(inbox, step, publisher, limit=MAX_TAKEN, reports_progress=True)


def _step(
    stage: DisplayStage,
    server: PageServer,
    pixels: CountedReceiver,
    need: FrameNeed,
    messages: list[Message],
) -> list[Message]:
    if not server.alive:
        raise EmostreamError("display: the page's server stopped")
    pixels.spare(on=need.few_are_enough())
    return stage(messages)
