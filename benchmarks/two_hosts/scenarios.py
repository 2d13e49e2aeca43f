"""The scenarios for two hosts, as seen by a subscriber on the camera host."""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from benchmarks.thin_link.namespaces import ThinLink
from benchmarks.two_hosts.hosts import CAMERA, GPU, STANDBY, TwoHosts
from emostream.shared.config.schema import SecurityMode
from emostream.shared.key_files import Own, PeerKey
from emostream.shared.security import new_key

# A result is fresh if it is not older than this, s.
FRESH_S: Final = 0.5
DELAY_S: Final = 0.025
QUEUE_MS: Final = 50.0
# Before the fault, s.
BEFORE_S: Final = 2.0
WORDS: Final[dict[SecurityMode, str]] = {"auto": "encrypted", "disabled": "plain"}


class Figures(msgspec.Struct):
    """The result of one run of a scenario; ages are end-to-end, in ms."""

    scenario: str
    results_per_s: float
    age_p50_ms: float
    age_p99_ms: float
    # The longest time without a result (s), also at stages on the camera host, and the time from
    # the end of a fault to the first fresh result.
    longest_gap_s: float
    stage_gaps_s: dict[str, float]
    fresh_after_s: float | None
    dropped: dict[str, int]
    # Bytes over the link per answered face: from the camera host, and to it.
    bytes_per_face_out: float
    bytes_per_face_back: float
    cpu_ms_per_frame: dict[str, float]


def measured(
    name: str, hosts: TwoHosts, seconds: float, fault: Callable[[], None] = lambda: None
) -> Figures:
    """Listen for `seconds`, cause the fault in the meantime, and return the figures.

    `fault` returns when it is over; fresh results count from then on.
    """
    cpu, sent, dropped = hosts.cpu_seconds(), hosts.sent_bytes(), hosts.dropped()
    with hosts.listening(seconds) as listener:
        began = time.time_ns()
        fault()
        over = time.time_ns()
        output, _ = listener.communicate(timeout=seconds + 30)
    came = json.loads(output)
    seen = np.array(came["results"], np.int64).reshape(-1, 4)
    # A standby may answer the same frames as the active classifier; the first answer counts.
    seen = seen[np.sort(np.unique(seen[:, 2], return_index=True)[1])]
    after_cpu, after_sent, after_dropped = hosts.cpu_seconds(), hosts.sent_bytes(), hosts.dropped()
    arrived, captured, _, faces = seen.T
    ages = (arrived - captured) / 1e6
    end = began + int(seconds * 1e9)
    fresh = arrived[(arrived > over) & (ages < 1000 * FRESH_S)]
    frames, total = max(1, len(seen)), max(1, int(faces.sum()))
    out, back = (after_sent[host] - sent[host] for host in (CAMERA, GPU))
    return Figures(
        name,
        len(seen) / seconds,
        quantile(ages, 0.5),
        quantile(ages, 0.99),
        longest_gap(began, arrived, end),
        {stage: longest_gap(began, times, end) for stage, times in came["stages"].items()},
        float((fresh[0] - over) / 1e9) if over - began > 1e6 and len(fresh) else None,
        {
            key: n - dropped.get(key, 0)
            for key, n in after_dropped.items()
            if n > dropped.get(key, 0)
        },
        out / total,
        back / total,
        {stage: 1e3 * (used - cpu.get(stage, 0)) / frames for stage, used in after_cpu.items()},
    )


def longest_gap(began: int, times: Sequence[int] | np.ndarray, end: int) -> float:
    """Return the longest time between consecutive times (ns), in s."""
    return float(np.diff([began, *times, end]).max() / 1e9)


def quantile(ages: np.ndarray, q: float) -> float:
    """Return a quantile; NaN without results."""
    return float(np.quantile(ages, q)) if len(ages) else float("nan")


def link(limit: str = "1gbit") -> ThinLink:
    """Return a link between the hosts with this rate."""
    return ThinLink(limit, QUEUE_MS)


def crops(folder: Path, seconds: float, limit: str, security: SecurityMode) -> Figures:
    """The classifier is on the GPU host, behind a rate-limited link."""
    with link(limit) as joined, TwoHosts(joined, folder, security=security) as hosts:
        return measured(f"crops, {limit}, {WORDS[security]}", hosts, seconds)


def frames(folder: Path, seconds: float, security: SecurityMode) -> Figures:
    """The detector is on the GPU host too, so frames go over the link."""
    near = ("capture",)
    with link() as joined, TwoHosts(joined, folder, near=near, security=security) as hosts:
        return measured(f"frames, 1gbit, {WORDS[security]}", hosts, seconds)


def delay(folder: Path, seconds: float) -> Figures:
    """A higher latency between the hosts, in both directions."""
    with link() as joined, TwoHosts(joined, folder, delay=DELAY_S) as hosts:
        return measured(f"crops, {1000 * DELAY_S:g} ms each way", hosts, seconds)


def cut(folder: Path, seconds: float, length: float) -> Figures:
    """The link carries nothing for a while."""

    def fault() -> None:
        time.sleep(BEFORE_S)
        set_link("down")
        time.sleep(length)
        set_link("up")

    def set_link(state: str) -> None:
        subprocess.run(hosts.inside(GPU, "ip", "link", "set", "link0", state), check=True)

    with link() as joined, TwoHosts(joined, folder) as hosts:
        return measured(f"cut of {length:g} s", hosts, seconds + length, fault)


def restart(folder: Path, seconds: float) -> Figures:
    """The classifier is killed, and restarted immediately."""

    def fault() -> None:
        time.sleep(BEFORE_S)
        hosts.kill("classifier")
        hosts.start("classifier")

    with link() as joined, TwoHosts(joined, folder) as hosts:
        return measured("classifier killed, started again", hosts, seconds, fault)


def standby(folder: Path, seconds: float) -> Figures:
    """The classifier is killed and stays down; a standby on the camera host takes over."""

    def fault() -> None:
        time.sleep(BEFORE_S)
        hosts.kill("classifier")

    with link() as joined, TwoHosts(joined, folder, further=(STANDBY,)) as hosts:
        return measured("classifier killed, with a standby", hosts, seconds, fault)


def address(folder: Path, seconds: float) -> Figures:
    """The address of the GPU host, which the camera host knows by name, changes."""

    def fault() -> None:
        time.sleep(BEFORE_S)
        hosts.move()

    further = ("recorder", "display")
    with link() as joined, TwoHosts(joined, folder, named=True, further=further) as hosts:
        return measured("address of the GPU host changed", hosts, seconds, fault)


def rotation(folder: Path, seconds: float) -> Figures:
    """The GPU host switches to a new key, which the camera host already knows."""

    def fault() -> None:
        time.sleep(BEFORE_S)
        new = new_key(time.time() + 1)
        camera, gpu = hosts.keys(CAMERA), hosts.keys(GPU)
        for folder_of in (camera, gpu):
            folder_of.write_peers(
                tuple(
                    msgspec.structs.replace(peer, keys=(*peer.keys, PeerKey(new.public)))
                    if peer.name == GPU
                    else peer
                    for peer in folder_of.peers()
                )
            )
        own = gpu.own()
        gpu.write_own(Own(own.name, (*own.keys, new)))
        time.sleep(1)

    with link() as joined, TwoHosts(joined, folder) as hosts:
        return measured("key of the GPU host rotated", hosts, seconds, fault)


def scenarios(seconds: float) -> dict[str, Callable[[Path], Figures]]:
    """Return the scenarios by name; each takes a folder."""
    return {
        **{
            f"crops-{limit}": partial(crops, seconds=seconds, limit=limit, security="auto")
            for limit in ("1gbit", "10mbit", "1mbit")
        },
        "crops-plain": partial(crops, seconds=seconds, limit="1gbit", security="disabled"),
        "frames": partial(frames, seconds=seconds, security="auto"),
        "frames-plain": partial(frames, seconds=seconds, security="disabled"),
        "delay": partial(delay, seconds=seconds),
        "cut": partial(cut, seconds=seconds, length=30.0),
        "restart": partial(restart, seconds=seconds),
        "standby": partial(standby, seconds=seconds),
        "address": partial(address, seconds=seconds),
        "rotation": partial(rotation, seconds=seconds),
    }
