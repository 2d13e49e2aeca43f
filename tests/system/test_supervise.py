"""The supervisor with real processes: it restarts, finds hangs, and leaves nothing behind."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import psutil
import pytest

from emostream.services.cli.processes.child_process import PROGRAM
from emostream.services.cli.processes.pipeline import free_ports
from emostream.services.cli.processes.restarts import RESTARTS
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape
from emostream.shared.scraping import scrape
from tests.http_get import get
from tests.system.conftest import wait_until

# A stage instead of the real ones: it notes its start, then does what the test asks.
COMMAND = """
import sys
from pathlib import Path
from emostream.services.cli.processes.supervisor import Supervised, Supervisor
from emostream.shared.logs import log_to_stderr
notes, port, hung_after = Path(sys.argv[1]), int(sys.argv[3]), float(sys.argv[4])
code = f"open({str(notes)!r}, 'a').write('x'); {sys.argv[2]}"
log_to_stderr("info")
command = [sys.executable, "-c", code]
sys.exit(Supervisor(Supervised("detector", command, "127.0.0.1", port, hung_after)).run())
"""
FOR_EVER = "import time; time.sleep(1000)"
Process: TypeAlias = "subprocess.Popen[bytes]"
started: list[Process] = []


@pytest.fixture(autouse=True)
def leave_nothing_behind() -> Iterator[None]:
    yield
    for process in started:
        process.kill()
        process.wait()
    started.clear()


def start(
    notes: Path, what: str, *, port: int = 0, hung_after: float = 30.0, **options: object
) -> Process:
    words = [sys.executable, "-c", COMMAND, str(notes), what, str(port), str(hung_after)]
    started.append(subprocess.Popen(words, **options))  # type: ignore[call-overload]
    return started[-1]


def child(process: Process) -> psutil.Process:
    wait_until(lambda: psutil.Process(process.pid).children(), "the stage to start")
    return psutil.Process(process.pid).children()[0]


def test_a_stage_that_always_dies_is_down_and_goes_on_being_tried(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    notes, log = tmp_path / "notes", tmp_path / "log"
    with log.open("wb") as out:
        process = start(notes, "import sys; sys.exit(7)", port=port, stderr=out)
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: get(f"{url}/livez")[0] == 503, "the stage to be down")
        assert notes.read_text().startswith("x" * 6)
        code, body = get(f"{url}/readyz")
        assert code == 503
        assert "down: exited with code 7" in body
        said = scrape(f"{url}/metrics")
        assert isinstance(said, Scrape)
        assert said.total(MetricName.DOWN, stage="detector") == 1
        tries = len(notes.read_text())
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(notes.read_text()) > tries, "another try")
        process.terminate()
        assert process.wait(10) == 0
    text = log.read_text()
    assert text.count("warning: exited with code 7; restarting it") == RESTARTS
    assert "error: down: exited with code 7; next try in 1 s" in text


def test_a_wrong_configuration_is_not_tried_again(tmp_path: Path) -> None:
    process = start(tmp_path / "notes", "import sys; sys.exit(2)")
    assert process.wait(20) == 2
    assert (tmp_path / "notes").read_text() == "x"


def test_what_is_only_checked_is_not_started_again() -> None:
    words = [*PROGRAM, "supervise", "detector", "--check-config"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "defaults: good\n", "")


# It ends well on SIGTERM, as the stages do.
POLITE = f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); {FOR_EVER}"


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        *(
            pytest.param(number, marks=pytest.mark.evidence)
            for number in (signal.SIGTERM, signal.SIGSEGV)
        ),
    ],
)
def test_a_stage_that_nobody_asked_to_end_is_started_again(
    number: signal.Signals, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    process = start(notes, POLITE)
    first = child(process)
    wait_until(notes.exists, "its first start")
    first.send_signal(number)
    wait_until(lambda: notes.read_text() == "xx", "its second start", 20)
    process.terminate()
    assert process.wait(10) == 0


def test_a_stage_that_is_stopped_is_killed_and_started_again(tmp_path: Path) -> None:
    notes, log = tmp_path / "notes", tmp_path / "log"
    with log.open("wb") as out:
        process = start(notes, FOR_EVER, hung_after=1.0, stderr=out)
        first = child(process)
        wait_until(notes.exists, "its first start")
        first.suspend()
        wait_until(lambda: notes.read_text() == "xx", "its second start")
        process.terminate()
        assert process.wait(10) == 0
    assert "error: hung; killing it: it has been stopped for 1 s" in log.read_text()


# It loads something for longer than `hung_after`, goes round for a moment, and stands still.
DEADLOCKED = """
import threading, time
from pathlib import Path
from prometheus_client import CollectorRegistry
from emostream.shared.address_file import Addresses, write_addresses
from emostream.shared.health import Health
from emostream.shared.metrics_server import MetricsServer
health = Health(10, hung_after=1)
server = MetricsServer("detector", "127.0.0.1", PORT, CollectorRegistry(), health)
write_addresses(Addresses(f"http://127.0.0.1:{server.port}/metrics"))
time.sleep(1.5)
Path(NOTES).open("a").write("r")
for _ in range(5):
    health.beat()
    time.sleep(0.1)
lock = threading.Lock()
lock.acquire()
lock.acquire()
"""


@pytest.mark.parametrize("has_own_port", [True, pytest.param(False, marks=pytest.mark.evidence)])
def test_a_stage_that_is_deadlocked_is_killed_but_not_while_it_starts(
    has_own_port: bool, tmp_path: Path
) -> None:
    notes, log = tmp_path / "notes", tmp_path / "log"
    port = free_ports(1)[0] if has_own_port else 0
    stage = DEADLOCKED.replace("NOTES", repr(str(notes))).replace("PORT", str(port))
    (tmp_path / "stage.py").write_text(stage)
    with log.open("wb") as out:
        what = f"exec(open({str(tmp_path / 'stage.py')!r}).read())"
        process = start(notes, what, port=port, hung_after=1.0, stderr=out)
        wait_until(lambda: notes.exists() and notes.read_text() == "xrx", "its second start")
        process.terminate()
        assert process.wait(10) == 0
    assert "error: hung; killing it: its loop has not run for 1 s" in log.read_text()


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


@pytest.fixture
def honcho(tmp_path: Path) -> Process:
    """Honcho with two supervisors that run."""
    (tmp_path / "stage.py").write_text(COMMAND)
    notes = tmp_path / "notes"
    (tmp_path / "Procfile").write_text(
        f"a: exec {sys.executable} stage.py {notes} '{FOR_EVER}' 0 30\n"
        f"b: exec {sys.executable} stage.py {notes} '{FOR_EVER}' 0 30\n"
    )
    honcho = subprocess.Popen(
        [str(Path(sys.executable).with_name("honcho")), "start"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    started.append(honcho)
    wait_until(lambda: notes.exists() and notes.read_text() == "xx", "both to start")
    return honcho


def test_a_killed_honcho_takes_everything_with_it(honcho: Process) -> None:
    below = psutil.Process(honcho.pid).children(recursive=True)
    assert len(below) >= 6
    honcho.kill()
    honcho.wait(5)
    _, alive = psutil.wait_procs(below, timeout=5)
    assert not alive


def test_a_stage_s_end_ends_no_other_and_a_supervisor_s_end_is_no_success(
    honcho: Process, tmp_path: Path
) -> None:
    """Ctrl-C gives honcho's own 130."""
    notes = tmp_path / "notes"
    supervisors = [worker.children()[0] for worker in psutil.Process(honcho.pid).children()]
    stages = [supervisor.children()[0] for supervisor in supervisors]
    stages[0].terminate()
    wait_until(lambda: notes.read_text() == "xxx", "the other start")
    assert stages[1].is_running()
    supervisors[1].terminate()
    assert honcho.wait(10) == 128 + signal.SIGTERM


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
