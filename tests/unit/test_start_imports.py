"""What a stage loads at its start: what only some need loads when it is needed."""

import subprocess
import sys

import pytest

LATER = {
    "capture": ("av",),
    "classifier": ("cv2", "av"),
    "recorder": ("cv2", "av", "PIL"),
    "display": ("cv2", "av", "PIL"),
}


@pytest.mark.parametrize("stage", LATER)
def test_a_stage_starts_without_what_it_may_never_need(stage: str) -> None:
    code = (
        f"import sys; import emostream.services.{stage}.process;"
        f"print(*sorted({{*{LATER[stage]}}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
