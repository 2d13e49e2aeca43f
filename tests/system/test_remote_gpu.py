"""The six commands of docs/remote-gpu.md, from a wheel to emotions, on two hosts."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from benchmarks.thin_link.namespaces import FAR_ADDRESS, NEAR_ADDRESS, ThinLink
from emostream.shared.optional_groups import packages_of
from emostream.shared.shipped_files import ROOT
from tests.documented_commands import lines_of
from tests.hidden_packages import closure
from tests.system.conftest import wait_until
from tests.wheels import add_packages, add_pip, build_wheel, make_environment, write_program

pytestmark = [pytest.mark.heavy, pytest.mark.evidence, pytest.mark.timeout(600)]

PAGE: Final = (ROOT / "docs" / "remote-gpu.md").read_text("utf-8")
FOUND: Final = (
    "import importlib.util as i;"
    'print(*(m for m in ("ai_edge_litert", "av", "onnxruntime", "keras", "starlette")'
    " if i.find_spec(m)))"
)
# The namespaces have one file system, so that a copy is what scp does between hosts.
SCP: Final = (
    '#!/bin/sh\ntest "$1" = -r && test "$4" = "{address}:" && exec cp -r "$2" "$3" {home}\n'
)
STATE: Final = (
    "import urllib.request as r;"
    "print(r.urlopen('http://127.0.0.1:8080/api/state', timeout=5).read().decode())"
)


def six_commands() -> list[tuple[str, str]]:
    """Return each command of the page with the host that it says, with the test's addresses."""
    (section,) = re.findall(r"^## Six commands\n(.+?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    section = section.replace("10.0.0.1", NEAR_ADDRESS).replace("10.0.0.2", FAR_ADDRESS)
    blocks = re.findall(r"On the (camera|GPU) host:\n\n(```sh\n.+?```)", section, re.DOTALL)
    return [(host, line) for host, block in blocks for line in lines_of(block)]


class Host:
    """A home folder, an environment and a network namespace, in which a shell runs commands."""

    def __init__(self, link: ThinLink, namespace: str, folder: Path, group: str) -> None:
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self._link, self._namespace = link, namespace
        environment = folder / "environment"
        self.programs = make_environment(environment)
        add_packages(environment, closure(packages_of(group) | packages_of("")))
        add_pip(self.programs)
        self.environment = {
            "HOME": str(self.home), "PATH": f"{self.programs}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
        }  # fmt: skip

    def command(self, *words: str) -> list[str]:
        """Return the words that run a command on the host."""
        return self._link.inside(self._namespace, *words)

    def run(self, line: str) -> str:
        """Run a command line in the home folder; it must succeed."""
        done = subprocess.run(
            self.command("bash", "-c", line), cwd=self.home, env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def running(self, line: str) -> Iterator[Path]:
        """Run a command line until the context ends, as Ctrl-C would; yield its log."""
        log = self.home / "log.txt"
        with log.open("wb") as out:
            process = subprocess.Popen(
                self.command("bash", "-c", line.replace("&& ", "&& exec ")), cwd=self.home,
                env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        try:
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def test_six_commands_give_emotions_on_two_hosts(link: ThinLink, tmp_path: Path) -> None:
    hosts = {
        "camera": Host(link, link.near, tmp_path / "cameras", "stages"),
        "GPU": Host(link, link.far, tmp_path / "gpu", "classifier"),
    }
    cameras = hosts["camera"]
    shutil.copy(build_wheel(tmp_path / "build"), cameras.home)
    scp = SCP.format(address=FAR_ADDRESS, home=hosts["GPU"].home)
    write_program(cameras.programs / "scp", scp)
    commands = six_commands()
    assert [host for host, _ in commands] == [*["camera"] * 3, *["GPU"] * 2, "camera"]
    with contextlib.ExitStack() as stack:
        logs = []
        for host, line in commands:
            if line.endswith("honcho start"):
                logs.append(stack.enter_context(hosts[host].running(line)))
            else:
                hosts[host].run(line)

        def said() -> str:
            return "\n".join(log.read_text("utf-8", "replace") for log in logs)

        def shown() -> bool:
            words = cameras.command(sys.executable, "-c", STATE)
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                return False
            streams = json.loads(done.stdout)["streams"].values()
            return any(face["label"] for stream in streams for face in stream["faces"])

        try:
            wait_until(shown, "emotions on the page", 240)
        finally:
            print(said())  # which pytest shows of a test that fails
        assert "Traceback" not in said()
        assert f"publishing emotions on tcp://{FAR_ADDRESS}:5553 with model alexnet-fer" in said()


def test_the_classifiers_host_has_its_own_group_alone(link: ThinLink, tmp_path: Path) -> None:
    gpu = Host(link, link.far, tmp_path, "classifier")
    found = gpu.run(f"python -c '{FOUND}'").split()
    assert found == ["ai_edge_litert"]
