"""`python -m benchmarks.takeover`: repeatedly kills the active classifier, with a standby.

Listens like a subscriber, and exits with 1 if no answer arrived for longer than 3 s, or if the
events do not match the answers.
"""

import argparse
import contextlib
import itertools
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.results import finish, parse
from emostream.services.cli.bench.result_file import Figure, figure
from emostream.services.cli.options import positive
from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.bus import Bus, Subscription
from emostream.shared.config import Config, Security, load
from emostream.shared.duplicates import Duplicates
from emostream.shared.errors import EmostreamError
from emostream.shared.frame_counts import FrameCounts, frame_counts
from emostream.shared.key_files import KeyFolder, Own, Peer, PeerKey
from emostream.shared.messages import Emotion, Event, Message
from emostream.shared.metric_names import MetricName
from emostream.shared.metric_samples import Scrape
from emostream.shared.scraping import scrape
from emostream.shared.security import new_key
from emostream.shared.shipped_files import find_config

WHAT: Final = "python -m benchmarks.takeover"
LONGEST_GAP_S: Final = 3.0
# After more than five restarts in 60 s, the supervisor waits before the next one.
KILL_EVERY_S: Final = 12.5
RECOVERS_WITHIN_S: Final = 60.0
# A track that was not seen for longer than this at the end must have left.
LEFT_AFTER_NS: Final = 3 * 10**9
HOST: Final = "127.0.0.1"


@dataclass
class Heard:
    """A subscriber's messages from both classifiers, without duplicates; times are s, monotonic."""

    answers: list[tuple[float, Emotion]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    duplicates: Duplicates = field(default_factory=Duplicates)

    def add(self, message: Message) -> None:
        """Take a message, on the receiving thread."""
        header = message.header
        if not header.is_data:
            return
        if self.duplicates.has(header):
            self.dropped[message.topic.partition("/")[0]] += 1
        elif isinstance(header, Emotion):
            self.answers.append((time.monotonic(), header))
        elif isinstance(header, Event):
            self.events.append(header)

    def longest_gap(self, begin: float, end: float) -> float:
        """Return the longest time without an answer between the two."""
        times = [begin, *(at for at, _ in self.answers if begin <= at <= end), end]
        return max(after - before for before, after in itertools.pairwise(times))

    def is_active_again(self, killed: float) -> bool:
        """Whether only the active one has answered for a second since it was killed."""
        now = time.monotonic()
        recent = [answer for at, answer in self.answers[-200:] if at > max(now - 1.0, killed)]
        return now > killed + 2.0 and bool(recent) and not any(one.standby for one in recent)


def event_faults(answers: Iterable[Emotion], events: Iterable[Event]) -> tuple[int, int, int]:
    """Return the number of events implied by the answers, and those missing and duplicated."""
    labels: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    seen: dict[tuple[str, int], int] = {}
    last = 0
    for answer in answers:
        last = max(last, answer.pts)
        for face in answer.faces:
            key = (answer.run, face.track)
            seen[key] = answer.pts
            if face.label and labels[key][-1:] != [face.label]:
                labels[key].append(face.label)
    implied: Counter[tuple[str, int, str]] = Counter()
    for (run, track), shown in labels.items():
        implied[run, track, "enter"] += bool(shown)
        implied[run, track, "change"] += max(0, len(shown) - 1)
        implied[run, track, "leave"] += bool(shown) and last - seen[run, track] > LEFT_AFTER_NS
    given: Counter[tuple[str, int, str]] = Counter()
    given.update((event.run, event.track, event.kind) for event in events)
    # A subscriber that joins during a track has not seen it enter.
    known = {key for key in implied if given[(*key[:2], "enter")] or key[2] != "enter"}
    implied = Counter({key: count for key, count in implied.items() if key in known})
    given = Counter({key: count for key, count in given.items() if key[:2] in labels})
    return implied.total(), (implied - given).total(), (given - implied).total()


def run(config: Config, folder: Path, kills: int, seed: int) -> tuple[Heard, list[float], int]:
    """Kill the active classifier `kills` times; return the messages and the times of the kills."""
    choice, heard, times = random.Random(seed), Heard(), list[float]()
    with contextlib.ExitStack() as stack:
        pipeline = stack.enter_context(Pipeline(config, folder, [["--standby"]]))
        pipeline.wait_ready()
        bus = stack.enter_context(Bus("takeover", security=config.security))
        topics = Subscription(pipeline.config.connect.emotion, ["event/", "emotion/"], 0)
        stack.enter_context(contextlib.closing(bus.receiver([topics], heard.add, _fail)))
        _wait_active(heard, 0.0)
        for _ in range(kills):
            since = time.monotonic() - times[-1] if times else KILL_EVERY_S
            time.sleep(max(0.0, KILL_EVERY_S - since) + choice.uniform(0.0, 3.0))
            pipeline.stage_processes()["classifier"].kill()
            times.append(time.monotonic())
            _wait_active(heard, times[-1])
        time.sleep(2.0)
        unexplained = sum(abs(one.unexplained) for one in _sums(pipeline))
        _print_counts(pipeline)
    return heard, times, unexplained


def _wait_active(heard: Heard, killed: float) -> None:
    deadline = time.monotonic() + RECOVERS_WITHIN_S
    while not heard.is_active_again(killed):
        if time.monotonic() > deadline:
            raise EmostreamError(f"not active again within {RECOVERS_WITHIN_S:g} s")
        time.sleep(0.05)


def _scrapes(pipeline: Pipeline) -> list[Scrape]:
    urls = [pipeline.metrics_url(stage) for stage in STAGES]
    urls += [f"http://{each.metrics}" for each in pipeline.classifiers[1:]]
    return [one for url in urls if isinstance(one := scrape(f"{url}/metrics"), Scrape)]


def _sums(pipeline: Pipeline) -> list[FrameCounts]:
    return [one for one in frame_counts(_scrapes(pipeline)) if one.path in ("emotions", "rows")]


def _print_counts(pipeline: Pipeline) -> None:
    for one in _sums(pipeline):
        dropped = {" ".join(key): count for key, count in one.dropped.items()}
        print(f"{one.path}: captured {one.captured}, answered {one.answered}, dropped {dropped},")
        print(f"  lost {dict(one.lost)}, with a process {dict(one.lost_with_process)},", end=" ")
        print(f"unexplained {one.unexplained}")
    found = scrape(f"{pipeline.metrics_url('recorder')}/metrics")
    if isinstance(found, Scrape):
        count = found.total(MetricName.DUPLICATE_ANSWERS, stage="recorder")
        print(f"duplicates that the recorder dropped: {count:.0f}")


def _fail(error: Exception) -> None:
    print(f"bad message: {error}", file=sys.stderr)


def with_keys(config: Config, folder: Path) -> Config:
    """Return a configuration that encrypts everything, with a key in the folder."""
    keys, own = KeyFolder(str(folder)), new_key()
    keys.write_own(Own("here", (own,)))
    keys.write_peers((Peer("here", HOST, (), (PeerKey(own.public),)),))
    return msgspec.structs.replace(config, security=Security(mode="required", folder=str(folder)))


def show(
    heard: Heard, killed: Sequence[float], unexplained: int, load: float
) -> tuple[bool, dict[str, Figure]]:
    """Print the figures; return whether they are within limits, and the figures by name."""
    ends = [*killed[1:], heard.answers[-1][0]]
    gaps = [heard.longest_gap(begin, end) for begin, end in zip(killed, ends, strict=True)]
    answers = sorted((one for _, one in heard.answers), key=lambda one: (one.t, one.part))
    seqs = [one.seq for one in answers]
    missing = max(seqs) - min(seqs) + 1 - len(set(seqs))
    implied, lost, doubled = event_faults(answers, heard.events)
    standby = sum(one.standby for one in answers)
    print(f"kills: {len(killed)}; load of the machine: {load:.1f} on {os.cpu_count()} cores")
    print(
        f"time without an answer: median {statistics.median(gaps):.2f} s, worst {max(gaps):.2f} s"
    )
    print(
        f"frames: {len(answers)} answered ({standby} by the standby), {missing} not answered, ",
        end="",
    )
    print(
        f"{len(answers) - len(set(seqs))} doubled; duplicates dropped here: {dict(heard.dropped)}"
    )
    print(f"events: {implied} implied by the answers, {lost} missing, {doubled} doubled")
    good = max(gaps) <= LONGEST_GAP_S and not lost and not doubled and not unexplained
    print("good" if good else "BAD")
    return good, {
        "without an answer after a kill": figure(gaps, "s"),
        "frames not answered": figure([missing], "frames"),
        "events missing": figure([lost], "events"),
        "events doubled": figure([doubled], "events"),
    }


def main() -> int:
    """Run, print the figures, and return 1 if they are bad."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=positive(int), default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--encrypted", action="store_true", help="encrypt everything (CURVE)")
    options = parse(parser, WHAT)
    with tempfile.TemporaryDirectory(prefix="takeover-") as folder:
        config = load(find_config("default"), [])
        if options.encrypted:
            config = with_keys(config, Path(folder) / "keys")
        heard, killed, unexplained = run(config, Path(folder), options.kills, options.seed)
    good, figures = show(heard, killed, unexplained, os.getloadavg()[1])
    return finish(options, WHAT, figures, good=good)


if __name__ == "__main__":
    sys.exit(main())
