"""Classifiers that grow and shrink: what the autoscaler asks, and what each pod then does."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from emostream.shared.shipped_files import ROOT
from tests.conftest import require_tool
from tests.manifests import K8S, documents, named
from tests.monitoring import metrics

SCRIPT: Final = K8S / "autoscale" / "shards.sh"
SCALING: Final = named(documents(K8S / "autoscale" / "scaling.yaml"), "ScaledObject", "classifier")
QUERIES: Final = {
    trigger["name"]: trigger["metadata"]["query"] for trigger in SCALING["spec"]["triggers"]
}
# Writes how it was started, and runs until it is told to end.
CLASSIFIER: Final = """#!{python}
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(*sys.argv[1:], file=open("{log}", "a"), flush=True)
if "{fails}" in " ".join(sys.argv):
    sys.exit(3)
time.sleep(60)
"""


class PodScript:
    """shards.sh in a pod, with names that the test decides on."""

    def __init__(self, folder: Path, pod: str, fails: str = "never") -> None:
        self.names, self.log = folder / "names", folder / "log"
        self.names.mkdir()
        text = CLASSIFIER.format(python=sys.executable, log=self.log, fails=fails)
        self._write(folder / "emostream", text)
        self._write(folder / "getent", f'#!/bin/sh\ntest -e "{self.names}/$2"\n')
        self.process = subprocess.Popen(
            ["sh", SCRIPT, "--config", "some.toml"],
            env={
                "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
                "POD_NAME": pod,
                "SHARDS": "4",
                "STEADY_S": "1",
            },
        )

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def starts(self) -> list[str]:
        """Return the share of each start of the classifier so far."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        words = "classifier --config some.toml --set detector.shards=4 --shard "
        assert all(line.startswith(words) for line in lines)
        return [line.removeprefix(words) for line in lines]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[PodScript]:
    script = PodScript(tmp_path, "classifier-0")
    yield script
    script.process.kill()
    script.process.wait()


@pytest.mark.slow
def test_a_classifier_starts_again_when_there_are_more(pod: PodScript) -> None:
    until(lambda: pod.starts() == ["0/1"])
    # The second one is away, as while it is started again.
    (pod.names / "classifier-2.classifier").touch()
    until(lambda: pod.starts() == ["0/1", "0/3"])
    (pod.names / "classifier-2.classifier").unlink()
    (pod.names / "classifier-1.classifier").touch()
    until(lambda: pod.starts() == ["0/1", "0/3", "0/2"])
    pod.process.send_signal(signal.SIGTERM)
    assert pod.process.wait(20) == 0
    assert len(pod.starts()) == 3


@pytest.mark.slow
def test_a_classifier_that_ends_by_itself_ends_the_pod(tmp_path: Path) -> None:
    script = PodScript(tmp_path, "classifier-1", fails="1/2")
    assert script.process.wait(20) == 3
    assert script.starts() == ["1/2"]


def test_what_is_asked_are_metrics_that_there_are() -> None:
    known = set(
        re.findall(r"^\| `([^`]+)`", (ROOT / "docs" / "metrics.md").read_text("utf-8"), re.M)
    )
    for name, query in QUERIES.items():
        assert {re.sub(r"_(bucket|sum)$", "", each) for each in metrics(query)} <= known, name


def series(name: str, labels: str, values: str) -> dict[str, str]:
    return {"series": f"{name}{{{labels}}}", "values": values}


def latencies(stage: str, seconds: float, rate: int) -> list[dict[str, str]]:
    """Return a histogram in which `rate` frames per minute take just below so many seconds."""
    bounds = ("0.01", "0.02", "0.05", "0.1", "0.2", "+Inf")
    return [
        series(
            "emostream_latency_seconds_bucket",
            f'stage="{stage}", stream="cam1", le="{le}"',
            f"0+{rate if float(le) >= seconds else 0}x20",
        )
        for le in bounds
    ]


def asked(folder: Path, query: str, given: list[dict[str, str]], expected: float) -> None:
    """Ask Prometheus' own test program for the query's value after five minutes."""
    promtool = require_tool("promtool")
    rule = {"record": "wanted", "expr": query}
    (folder / "rules.yml").write_text(yaml.dump({"groups": [{"name": "g", "rules": [rule]}]}))
    test: dict[str, Any] = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": given,
                "promql_expr_test": [
                    {
                        "expr": "round(wanted, 0.1)",
                        "eval_time": "5m",
                        "exp_samples": [{"labels": "{}", "value": expected}],
                    }
                ],
            }
        ],
    }
    (folder / "test.yml").write_text(json.dumps(test))
    done = subprocess.run(
        [promtool, "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


TWO: Final = [
    *(series("emostream_classifier_standby", f'instance="{n}"', "0x20") for n in ("a", "b")),
    series("emostream_classifier_standby", 'instance="standby"', "1x20"),
]


def test_the_age_of_what_waits_asks_for_more(tmp_path: Path) -> None:
    """95 of 100 frames take 19.5 ms to the end of the detector; then 0.5 s wait, or 30 ms."""
    detector = latencies("detector", 0.02, 100)
    # From 0.05 to 0.1 s: 97.5 ms, so 78 ms later; two classifiers should be 3.1.
    late = [*TWO, *detector, *latencies("classifier", 0.1, 100)]
    asked(tmp_path, QUERIES["age"], late, 3.1)
    # From 0.02 to 0.05 s: 48.5 ms, so 29 ms later; 1.2 would do.
    asked(tmp_path, QUERIES["age"], [*TWO, *detector, *latencies("classifier", 0.05, 100)], 1.2)


def test_without_frames_nothing_waits(tmp_path: Path) -> None:
    quiet = [*TWO, *latencies("detector", 0.02, 0), *latencies("classifier", 0.02, 0)]
    asked(tmp_path, QUERIES["age"], quiet, 0)


def test_the_work_is_that_of_the_active_classifiers(tmp_path: Path) -> None:
    """Each computes for 45 s of a minute; what a standby does does not count."""
    busy = [
        series("emostream_stage_seconds_sum", f'stage="classifier", instance="{name}"', "0+45x20")
        for name in ("a", "b", "standby")
    ]
    asked(tmp_path, QUERIES["work"], [*TWO, *busy], 1.5)


def test_the_autoscaler_stays_within_the_shards() -> None:
    """A classifier that gets no shard refuses to start."""
    told = {
        variable["name"]: variable.get("value")
        for each in documents(K8S / "autoscale" / "stages.yaml")
        for container in each["spec"]["template"]["spec"]["containers"]
        for variable in container.get("env", ())
    }
    spec = SCALING["spec"]
    assert spec["maxReplicaCount"] == int(told["SHARDS"]) == spec["fallback"]["replicas"]
    workload = named(documents(K8S / "base" / "classifier.yaml"), "StatefulSet", "classifier")
    assert spec["minReplicaCount"] == workload["spec"]["replicas"]
    assert spec["scaleTargetRef"]["kind"] == "StatefulSet"
