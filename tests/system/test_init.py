"""`emostream init`, and then `honcho start` in its folder, as its last lines say."""

import re
import signal
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path

import psutil

from emostream.services.cli.processes.pipeline import with_private_addresses
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.config import Config, load
from tests.conftest import take_sigint
from tests.system.conftest import wait_until

PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+")


def on_free_ports(text: str, folder: Path) -> str:
    """Take the "#" away before each address in the configuration, and give it a free port.

    The relay, which does not run, keeps its own.
    """
    free = with_private_addresses(Config(), folder)
    ports: dict[str, str] = {}
    for stage in STAGES:
        for key in ("bind", "metrics", "page"):
            usual, other = (getattr(getattr(each, stage), key, "") for each in (Config(), free))
            ports.update(zip(PORT.findall(usual), PORT.findall(other), strict=True))
    lines = (
        PORT.sub(lambda port: ports.get(port[0], port[0]), line.removeprefix("#"))
        if line.startswith("#") and PORT.search(line) and " = " in line
        else line
        for line in text.splitlines()
    )
    return "\n".join(lines)


def answers(address: str, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_honcho_starts_what_init_wrote(tmp_path: Path) -> None:
    folder = tmp_path / "my pipeline"
    done = subprocess.run(
        [sys.executable, "-m", "emostream", "init", str(folder)],
        capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    start = re.findall("^start it: (.+)$", done.stdout, re.MULTILINE)[0]
    file = folder / "emostream.toml"
    file.write_text(on_free_ports(file.read_text(), tmp_path))
    config = load(file)
    with (tmp_path / "said.txt").open("wb") as said:
        shell = subprocess.Popen(
            ["sh", "-c", start], stdout=said, stderr=said, preexec_fn=take_sigint, cwd=tmp_path
        )
    wait_until(lambda: psutil.Process(shell.pid).children(), "honcho to start")
    below = psutil.Process(shell.pid).children(recursive=True)
    try:
        for stage in STAGES:
            address = getattr(config, stage).metrics
            wait_until(partial(answers, address, "/readyz"), f"{stage} to be ready")
        assert answers(config.display.page, "/")
        assert (folder / "recordings" / "emostream.db").is_file()
        below = psutil.Process(shell.pid).children(recursive=True)
    finally:
        honcho = psutil.Process(shell.pid).children()
        for process in honcho or [psutil.Process(shell.pid)]:
            process.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(below, timeout=10)
        for process in alive:
            process.kill()
        shell.wait(10)
    assert not alive, (tmp_path / "said.txt").read_text()
