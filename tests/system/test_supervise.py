"""The supervisor with real processes: it restarts, gives up, and leaves nothing behind."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import psutil

from tests.system.conftest import wait_until

# A stage in place of the real ones: it notes its start, then does what the test asks.
COMMAND = """
import sys
from pathlib import Path
from emostream.services.cli.processes.supervisor import Supervisor
notes = Path(sys.argv[1])
code = f"open({str(notes)!r}, 'a').write('x'); {sys.argv[2]}"
sys.exit(Supervisor([sys.executable, "-c", code]).run())
"""
FOR_EVER = "import time; time.sleep(1000)"


def start(notes: Path, what: str, **options: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", COMMAND, str(notes), what], **options)  # type: ignore[call-overload,no-any-return]


def child(process: "subprocess.Popen[bytes]") -> psutil.Process:
    wait_until(lambda: psutil.Process(process.pid).children(), "the stage to start")
    return psutil.Process(process.pid).children()[0]


def test_a_stage_that_always_dies_is_started_six_times_in_all(tmp_path: Path) -> None:
    process = start(tmp_path / "notes", "import sys; sys.exit(7)")
    assert process.wait(60) == 7
    assert (tmp_path / "notes").read_text() == "x" * 6


def test_a_wrong_configuration_is_not_tried_again(tmp_path: Path) -> None:
    process = start(tmp_path / "notes", "import sys; sys.exit(2)")
    assert process.wait(20) == 2
    assert (tmp_path / "notes").read_text() == "x"


def test_a_stage_that_is_killed_is_started_again(tmp_path: Path) -> None:
    process = start(tmp_path / "notes", FOR_EVER)
    first = child(process)
    wait_until((tmp_path / "notes").exists, "its first start")
    first.kill()
    wait_until(lambda: (tmp_path / "notes").read_text() == "xx", "its second start", 20)
    process.terminate()
    assert process.wait(10) == 0


def test_a_stage_that_ignores_the_end_is_killed(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    stubborn = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"open({str(deaf)!r}, 'w'); {FOR_EVER}"
    )
    process = start(tmp_path / "notes", stubborn)
    stage = child(process)
    wait_until(deaf.exists, "the stage to be deaf")
    start_of_end = time.monotonic()
    process.terminate()
    assert process.wait(10) == 0
    assert time.monotonic() - start_of_end < 5
    assert not stage.is_running()


def test_a_killed_honcho_takes_everything_with_it(tmp_path: Path) -> None:
    (tmp_path / "stage.py").write_text(COMMAND)
    notes = tmp_path / "notes"
    (tmp_path / "Procfile").write_text(
        f"a: exec {sys.executable} stage.py {notes} '{FOR_EVER}'\n"
        f"b: exec {sys.executable} stage.py {notes} '{FOR_EVER}'\n"
    )
    honcho = subprocess.Popen(
        [str(Path(sys.executable).with_name("honcho")), "start"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    wait_until(lambda: notes.exists() and notes.read_text() == "xx", "both to start")
    below = psutil.Process(honcho.pid).children(recursive=True)
    assert len(below) >= 6
    honcho.kill()
    honcho.wait(5)
    _, alive = psutil.wait_procs(below, timeout=5)
    assert not alive


RELOADS = """
import signal, time
signal.signal(signal.SIGHUP, lambda *_: open(NOTES, 'a').write('h'))
open(NOTES, 'a').write('r')
while True: time.sleep(1)
"""


def test_a_hang_up_is_passed_on_and_ends_nothing(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    (tmp_path / "stage.py").write_text(RELOADS.replace("NOTES", repr(str(notes))))
    process = start(notes, f"exec(open({str(tmp_path / 'stage.py')!r}).read())")
    wait_until(lambda: notes.exists() and notes.read_text() == "xr", "the stage to listen")
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: notes.read_text() == "xrh", "the signal to come through")
    assert process.poll() is None
    process.terminate()
    assert process.wait(10) == 0


def test_a_terminal_that_is_closed_ends_everything(tmp_path: Path) -> None:
    """As when the window is closed in which `emostream supervise` was started."""
    notes = tmp_path / "notes"
    leader, follower = os.openpty()
    process = start(
        notes, FOR_EVER, stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(follower)
    stage = child(process)
    wait_until(notes.exists, "the stage to start")
    os.close(leader)
    assert process.wait(10) == 0
    assert not stage.is_running()
