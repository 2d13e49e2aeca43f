"""Who is sent which pictures, and who is refused."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import CollectorRegistry

from emostream.services.display.desktop_window import DesktopWindow
from emostream.services.display.metrics import DisplayMetrics
from emostream.services.display.page_sink import MAX_BURST, PageSink
from emostream.services.display.viewers import MAX_IN_FLIGHT, ViewerConnection, ViewerPool
from emostream.shared.allowed_hosts import AllowedHosts
from emostream.shared.control import StreamSwitch
from emostream.shared.errors import ConfigError
from emostream.shared.join import Joined
from tests.builders import Clock, frame


class FakeViewers(ViewerPool):
    """A pool of one, who wants and lacks what the test says."""

    def __init__(self) -> None:
        super().__init__(lambda stream: None, lambda viewers: None)
        self.offered: list[str] = []
        self.wanted = True
        self.lacking: set[str] = set()

    def has_capacity(self, stream: str) -> bool:
        return self.wanted

    def lacks_picture(self, stream: str) -> bool:
        return stream in self.lacking

    def offer(self, stream: str, packet: bytes) -> None:
        self.lacking.discard(stream)
        self.offered.append(stream)


class Rig:
    """A page sink at 10 frames/s at most."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.viewers = FakeViewers()
        self.registry = CollectorRegistry()
        metrics = DisplayMetrics(self.registry)
        self.blur = StreamSwitch(False)
        self.sink = PageSink(self.viewers, metrics, self.blur, 80, 10, self.clock)

    @property
    def encoded(self) -> float | None:
        return self.registry.get_sample_value("emostream_display_encode_seconds_count")


@pytest.fixture
def rig() -> Rig:
    return Rig()


def joined(stream: str = "cam1") -> Joined:
    return Joined(frame(stream=stream), (), False)


def test_no_more_is_encoded_than_the_rate_allows(rig: Rig) -> None:
    for _ in range(100):
        rig.clock.now += 0.04
        rig.sink.show(joined())
    assert 40 <= len(rig.viewers.offered) <= 40 + MAX_BURST


def test_a_burst_of_late_results_loses_no_frame_below_the_rate(rig: Rig) -> None:
    for _ in range(20):
        rig.clock.now += 0.25
        rig.sink.show(joined())
        rig.sink.show(joined())
    assert len(rig.viewers.offered) == 40


def test_nothing_is_encoded_while_nobody_can_take_it(rig: Rig) -> None:
    rig.viewers.wanted = False
    rig.sink.show(joined())
    rig.sink.idle()
    assert (rig.encoded, rig.viewers.offered) == (0, [])


def test_who_comes_later_gets_the_last_picture_of_a_silent_stream(rig: Rig) -> None:
    rig.viewers.wanted = False
    rig.sink.show(joined("cam1"))
    rig.sink.show(joined("cam2"))
    rig.viewers.lacking = {"cam2"}
    rig.sink.idle()
    rig.sink.idle()
    assert rig.viewers.offered == ["cam2"]


def test_the_last_picture_is_shown_again_when_its_faces_are_to_be_blurred(rig: Rig) -> None:
    rig.sink.show(joined())
    rig.sink.idle()
    assert len(rig.viewers.offered) == 1
    for on in (True, False):
        rig.blur.set("cam1", on)
        rig.sink.idle()
        rig.sink.idle()
    assert len(rig.viewers.offered) == 3


Act = Callable[[ViewerPool], Awaitable[None]]


def with_pool(act: Act) -> tuple[Counter[str], list[int]]:
    """Run the act in an event loop; return the skipped pictures and the counts of viewers."""
    skipped: Counter[str] = Counter()
    counts: list[int] = []

    async def run() -> None:
        await act(ViewerPool(lambda stream: skipped.update([stream]), counts.append))

    asyncio.run(run())
    return skipped, counts


async def taken(viewer: ViewerConnection) -> list[bytes]:
    await asyncio.sleep(0)
    return await viewer.next_packets(0.01)


def test_a_viewer_that_confirms_gets_every_picture() -> None:
    async def act(pool: ViewerPool) -> None:
        with pool.connect() as viewer:
            for number in range(10 * MAX_IN_FLIGHT):
                assert pool.has_capacity("a")
                pool.offer("a", b"%d" % number)
                assert await taken(viewer) == [b"%d" % number]
                viewer.confirm("a")
        assert not pool.has_capacity("a")

    skipped, counts = with_pool(act)
    assert not skipped
    assert counts == [1, 0]


def test_a_slow_viewer_gets_the_newest_and_holds_nobody_up() -> None:
    async def act(pool: ViewerPool) -> None:
        with pool.connect() as slow, pool.connect() as fast:
            for number in range(20):
                pool.offer("a", b"%d" % number)
                assert await taken(fast) == [b"%d" % number]
                fast.confirm("a")
                if number < MAX_IN_FLIGHT:
                    assert await taken(slow) == [b"%d" % number]
                else:
                    assert await taken(slow) == []
            assert pool.has_capacity("a")
            slow.confirm("a")
            assert await taken(slow) == [b"19"]

    skipped, _ = with_pool(act)
    assert skipped == {"a": 20 - MAX_IN_FLIGHT - 1}


def test_a_viewer_that_never_confirms_has_nothing_encoded_for_it() -> None:
    async def act(pool: ViewerPool) -> None:
        with pool.connect() as viewer:
            for _ in range(MAX_IN_FLIGHT):
                pool.offer("a", b"")
                assert await taken(viewer)
            assert not pool.has_capacity("a")
            assert pool.has_capacity("b")

    with_pool(act)


def test_each_stream_has_its_own_slot() -> None:
    async def act(pool: ViewerPool) -> None:
        with pool.connect() as viewer:
            assert pool.lacks_picture("a")
            for stream in ("a", "b", "a"):
                pool.offer(stream, stream.encode())
            assert not pool.lacks_picture("a")
            assert await taken(viewer) == [b"a", b"b"]

    assert with_pool(act)[0] == {"a": 1}


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("127.0.0.1:8080", True),
        ("localhost:8080", True),
        ("[::1]:8080", True),
        ("192.0.2.7", True),
        ("emotions.example:8080", False),
        ("127.0.0.1.example", False),
        ("localhost@evil.example", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_only_names_that_nobody_can_forge_are_answered(host: str, trusted: bool) -> None:
    assert (host in AllowedHosts()) is trusted


def test_a_window_without_a_desktop_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ConfigError, match="no desktop found"):
        DesktopWindow(lambda: None, StreamSwitch(False))


def test_a_desktop_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV's window library would abort the process."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ConfigError, match="cannot open a window"):
        DesktopWindow(lambda: None, StreamSwitch(False))


@pytest.mark.parametrize(
    ("key", "visible", "quits"),
    [(-1, 1.0, 0), (ord("x"), 1.0, 0), (ord("q"), 1.0, 1), (-1, 0.0, 1)],
)
def test_q_or_closing_the_window_quits(
    monkeypatch: pytest.MonkeyPatch, key: int, visible: float, quits: int
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("emostream.services.display.desktop_window.check_desktop", lambda: None)
    monkeypatch.setattr("cv2.imshow", lambda name, picture: None)
    monkeypatch.setattr("cv2.pollKey", lambda: key)
    monkeypatch.setattr("cv2.getWindowProperty", lambda name, what: visible)
    window = DesktopWindow(lambda: asked.append("quit"), StreamSwitch(False))
    window.idle()
    assert asked == []
    window.show(joined())
    window.idle()
    assert len(asked) == quits
