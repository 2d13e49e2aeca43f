"""A lossless recorder writes and confirms several frames at a time."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from emostream.shared.bus import Bus
from emostream.shared.messages import Credit, Message
from tests import builders
from tests.builders import header_of
from tests.system.conftest import wait_until
from tests.system.test_stages import Stage, free_endpoint, listen, publisher

FRAMES = 160


@pytest.mark.parametrize(("window", "few"), [(16, True), (1, False)])
def test_frames_are_confirmed_together_unless_each_is_waited_for(
    tmp_path: Path, window: int, few: bool
) -> None:
    with ExitStack() as stack:
        bus = stack.enter_context(Bus("test"))
        source, bind = publisher(stack, bus), free_endpoint()
        stage = Stage(
            *("recorder", tmp_path / "log", f"recorder.bind={bind}", "delivery=lossless"),
            *('lossless.credit_from=["recorder"]', f"lossless.window={window}"),
            'capture.sources=[{name="cam1", url="film.mp4", pace="fast"}]',
            *(f'connect.emotion=["{source.endpoint}"]', f"recorder.folder={tmp_path}"),
        )
        stack.callback(stage.close)
        inbox = listen(stack, bus, bind, "credit/")
        credits: list[Credit] = []

        def confirmed(seq: int) -> bool:
            taken = inbox.take(100, timeout=0.1)
            credits.extend(header_of(message, Credit) for message in taken)
            return bool(credits) and credits[-1].seq >= seq

        def answered() -> bool:
            source.send(Message(builders.emotion(0, probe=True, pid=1)))
            return confirmed(-1)

        wait_until(answered, "the first confirmation", 60)
        before = len(credits)
        for seq in range(FRAMES if few else 20):
            source.send(Message(builders.emotion(seq, builders.face())))
            if few:
                time.sleep(0.002)  # like the frames of a fast analysis
            else:
                wait_until(lambda: confirmed(seq), "this frame's confirmation")  # noqa: B023
        if few:
            wait_until(lambda: confirmed(FRAMES - 1), "the last confirmation")
            assert len(credits) - before < FRAMES / 3
