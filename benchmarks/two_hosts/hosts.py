"""Two hosts as network namespaces: a camera host and a GPU host, with keys and stages."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Self

import msgspec
import psutil

from benchmarks.thin_link.namespaces import FAR_ADDRESS, NEAR_ADDRESS, ThinLink
from emostream.services.cli.processes.child_process import stage_command
from emostream.services.cli.processes.config_file import write_config
from emostream.shared.config import Config, Connect, Security, load
from emostream.shared.config.schema import SecurityMode
from emostream.shared.key_files import KeyFolder, Own, Peer, PeerKey
from emostream.shared.security import new_key
from emostream.shared.shipped_files import CONFIGS, ROOT

# The default ports of each stage's topics.
PORTS: Final = {"capture": 5551, "detector": 5552, "classifier": 5553}
# A forwarder listens this many ports above its target.
FORWARDED: Final = 1000
CAMERA, GPU = "camera-host", "gpu-host"
NEW_ADDRESS: Final = "10.213.7.3"
STANDBY: Final = "standby"
STANDBY_ENDPOINT: Final = f"tcp://{NEAR_ADDRESS}:5653"
AS_STANDBY: Final = (
    *("--standby", "--set", f"classifier.bind={STANDBY_ENDPOINT}"),
    *("--set", "classifier.metrics=127.0.0.1:9203"),
)
# The folder of a namespace's own files, for `ip netns exec`.
NAMES: Final = Path("/etc/netns")
ADDRESSES: Final = {CAMERA: NEAR_ADDRESS, GPU: FAR_ADDRESS}
# Time until a stage's output and first results are there.
WARM_UP_S: Final = 8.0


class TwoHosts:
    """Capture and the stages in `near` on a camera host, the others on a GPU host.

    A context manager: within it, the stages run and have warmed up.

    With a `delay` (s), traffic between the hosts is forwarded with this delay in each direction.
    With `named`, the camera host knows the other one by its name. `further` stages also run on the
    camera host; "standby" is a second classifier there. `folder` gets configurations, keys and
    logs.
    """

    def __init__(
        self,
        link: ThinLink,
        folder: Path,
        *,
        near: Collection[str] = ("capture", "detector"),
        security: SecurityMode = "auto",
        delay: float = 0.0,
        named: bool = False,
        further: Collection[str] = (),
    ) -> None:
        self.link = link
        self.further = tuple(further)
        self._delay, self._named = delay, named
        self._folder = folder
        self.hosts = {stage: CAMERA if stage in near else GPU for stage in PORTS}
        self._log: IO[bytes] = (folder / "log.txt").open("wb")
        self._running: dict[str, psutil.Popen] = {}
        self.files = {host: folder / f"{host}.toml" for host in (CAMERA, GPU)}
        for host, file in self.files.items():
            write_config(self._config(host, security), file)
        if security != "disabled":
            exchange_keys({host: self.keys(host) for host in (CAMERA, GPU)}, named=named)
        self._ended = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._ended:
            if self._named:
                self._ended.enter_context(_names(self.link))
            self._ended.callback(self._end)
            for stage in ("classifier", *self.further, "detector", "capture"):
                self.start(stage)
            time.sleep(WARM_UP_S)
            # On success, it is closed later.
            self._ended = self._ended.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.close()

    def keys(self, host: str) -> KeyFolder:
        """Return a host's keys."""
        return KeyFolder(str(self._folder / f"{host}-keys"))

    def _config(self, host: str, security: SecurityMode) -> Config:
        config = load(CONFIGS / "default.toml")
        replace = msgspec.structs.replace

        def endpoint(stage: str, port: int) -> str:
            return f"tcp://{ADDRESSES[self.hosts[stage]]}:{port}"

        def found(stage: str) -> tuple[str, ...]:
            if self._named and self.hosts[stage] == GPU:
                return (f"tcp://{GPU}:{PORTS[stage]}",)
            forwarded = self._delay and self.hosts[stage] != host
            return (endpoint(stage, PORTS[stage] + FORWARDED * bool(forwarded)),)

        stages = {
            stage: replace(getattr(config, stage), bind=endpoint(stage, port))
            for stage, port in PORTS.items()
        }
        emotion = found("classifier")
        if self._named:
            classifier = replace(stages["classifier"], bind=f"tcp://0.0.0.0:{PORTS['classifier']}")
            stages["classifier"] = classifier
        if STANDBY in self.further:
            emotion = (*emotion, STANDBY_ENDPOINT)
            stages["classifier"] = replace(stages["classifier"], standbys=(STANDBY_ENDPOINT,))
        return replace(
            config,
            security=Security(mode=security, folder=str(self.keys(host).path)),
            connect=Connect(found("capture"), found("detector"), emotion),
            recorder=replace(config.recorder, folder=str(self._folder / "recordings")),
            **stages,
        )

    def inside(self, host: str, *command: str) -> list[str]:
        """Return the command to run another one on a host."""
        return self.link.inside(self.link.near if host == CAMERA else self.link.far, *command)

    def start(self, stage: str) -> None:
        """Start a stage and its forwarder."""
        host = self.hosts.get(stage, CAMERA)
        config = ("--config", str(self.files[host]))
        if stage == STANDBY:
            self._run(stage, host, *stage_command("classifier", *config, *AS_STANDBY))
            return
        self._run(stage, host, *stage_command(stage, *config))
        if self._delay and stage in PORTS:
            port = PORTS[stage]
            words = (self._delay, port + FORWARDED, ADDRESSES[host], port)
            module = (sys.executable, "-m", "benchmarks.two_hosts.delay")
            self._run(f"{stage} forwarder", host, *module, *map(str, words))

    def _run(self, name: str, host: str, *command: str) -> None:
        self._running[name] = psutil.Popen(
            self.inside(host, *command), stdout=self._log, stderr=subprocess.STDOUT, cwd=ROOT
        )

    def kill(self, stage: str) -> None:
        """Kill a stage, like a failing host."""
        process = self._running.pop(stage)
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time of each stage, in s."""
        times = {stage: process.cpu_times() for stage, process in self._running.items()}
        return {stage: used.user + used.system for stage, used in times.items()}

    def sent_bytes(self) -> dict[str, int]:
        """Return the bytes that each host has sent over the link."""
        return {host: self._sent(host) for host in (CAMERA, GPU)}

    def _sent(self, host: str) -> int:
        command = self.inside(host, "ip", "-s", "-j", "link", "show", "link0")
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        return int(json.loads(answer.stdout)[0]["stats64"]["tx"]["bytes"])

    def dropped(self) -> Mapping[str, int]:
        """Return the frames that the stages dropped so far, by stage and reason."""
        total: Counter[str] = Counter()
        for host, file in self.files.items():
            command = (sys.executable, "-m", "benchmarks.two_hosts.metrics", str(file))
            answer = subprocess.run(
                self.inside(host, *command), check=True, stdout=subprocess.PIPE, cwd=ROOT
            )
            total.update(json.loads(answer.stdout))
        return total

    def move(self) -> None:
        """Change the GPU host's address, like an expired lease, and update its name."""
        for verb, address in (("del", FAR_ADDRESS), ("add", NEW_ADDRESS)):
            change = ("ip", "address", verb, f"{address}/24", "dev", "link0")
            subprocess.run(self.inside(GPU, *change), check=True)
        name_is_at(self.link, NEW_ADDRESS)

    @contextmanager
    def listening(self, seconds: float) -> Iterator["subprocess.Popen[str]"]:
        """Yield a listener on the camera host once it listens; `results` waits for its end."""
        module = (sys.executable, "-m", "benchmarks.two_hosts.listener")
        watched = (stage for stage in self.further if stage != STANDBY)
        command = self.inside(CAMERA, *module, str(self.files[CAMERA]), str(seconds), *watched)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            process.stdout.readline()
            yield process

    def _end(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait(10)
        self._log.close()


@contextmanager
def _names(link: ThinLink) -> Iterator[None]:
    """Give the camera host a separate hosts file, while the context lasts."""
    folder = NAMES / link.near
    folder.mkdir(parents=True)
    try:
        name_is_at(link, FAR_ADDRESS)
        yield
    finally:
        (folder / "hosts").unlink(missing_ok=True)
        folder.rmdir()


def name_is_at(link: ThinLink, address: str) -> None:
    """Map the GPU host's name to this address on the camera host."""
    (NAMES / link.near / "hosts").write_text(f"{address} {GPU}\n", "utf-8")


def exchange_keys(folders: Mapping[str, KeyFolder], *, named: bool) -> None:
    """Create a key for each host, and allow all at each, including itself by its address."""
    own = {host: new_key() for host in folders}
    found = {CAMERA: NEAR_ADDRESS, GPU: GPU if named else FAR_ADDRESS}
    peers = tuple(Peer(host, found[host], (), (PeerKey(key.public),)) for host, key in own.items())
    for host, folder in folders.items():
        folder.write_own(Own(host, (own[host],)))
        folder.write_peers(peers)
