"""LiteRT's start-up notice never reaches the terminal, and nothing else is lost for it."""

import subprocess
import sys

import pytest

NOTICE = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
USES = {
    "recognize": "from emostream import recognize; recognize(np.zeros((90, 90), np.uint8), 'gray')",
    "detector": "from emostream.services.detector.backends import create; create('blazeface')",
    "model": "from emostream import load; load().warm_up()",
    "int8": "from emostream import load; load('alexnet-fer-int8').warm_up()",
}
MAIN = "use()"
THREAD = "thread = threading.Thread(target=use); thread.start(); thread.join()"
# What a program writes to file descriptor 2 while LiteRT starts, and the notice with it.
OTHERS = """
import os
from emostream.models.tensorflow_runtime import muted_stderr, without_litert_notice
for _ in range(2):
    with without_litert_notice():
        os.write(2, b"before\\n{notice}\\nafter\\n")
with muted_stderr(), without_litert_notice():
    os.write(2, b"muted\\n")
os.write(2, b"end\\n")
"""


def stderr_of(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("call", [MAIN, THREAD], ids=["main", "thread"])
def test_litert_starts_without_a_word(use: str, call: str) -> None:
    code = f"import threading\nimport numpy as np\ndef use():\n    {USES[use]}\n{call}\n"
    assert stderr_of(code) == ""


def test_other_lines_are_kept() -> None:
    said = stderr_of(OTHERS.format(notice=NOTICE))
    # The notice comes once in a process; from then on nothing is filtered.
    assert said == f"before\nafter\nbefore\n{NOTICE}\nafter\nend\n"


def test_a_process_without_stderr_is_served() -> None:
    code = f"import os\nimport numpy as np\nos.close(2)\n{USES['recognize']}\nprint('done')\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n")
