"""The supervisor with real processes: it restarts, gives up, and leaves nothing behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.system.conftest import wait_until

# A stage in place of the real ones: it notes its start, then does what the test asks.
COMMAND = """
import sys
from pathlib import Path
from services.cli.supervise import Supervisor
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
