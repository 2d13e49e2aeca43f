"""A real Prometheus reads a running pipeline: every query finds data, and alerts come and go."""

import itertools
import json
import math
import re
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from tests.conftest import require_tool
from tests.monitoring import PROMETHEUS, dashboards, metrics, queries, rules
from tests.system.conftest import wait_until

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(400)]
# Of what this pipeline has none of: a standby, a relay, and certificates.
ABSENT = (
    "emostream_standby_answers",
    "emostream_relay_source_connected",
    "emostream_tls_certificate_expiry_timestamp_seconds",
)
WITHIN = 90.0
# The shipped files, hurried: so a minute's alert takes seconds.
HURRY = ((r"_interval: \w+", "_interval: 1s"), (r"interval: 2m", "interval: 1s"))
HURRY_RULES = ((r"\[[15]m\]", "[10s]"), (r"for: \d+m", "for: 1s"), *HURRY)


class Prometheus:
    """A Prometheus with the shipped configuration that reads this pipeline."""

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        for name, changes in (("prometheus.yml", HURRY), ("rules.yml", HURRY_RULES)):
            text = (PROMETHEUS / name).read_text("utf-8")
            for pattern, hurried in changes:
                text = re.sub(pattern, hurried, text)
            (folder / name).write_text(text)
        targets = [
            {"targets": [getattr(pipeline.config, stage).metrics], "labels": {"stage": stage}}
            for stage in STAGES
        ]
        (folder / "targets.yml").write_text(yaml.safe_dump(targets))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self._url = f"http://{address}/api/v1"
        self._log = folder / "log.txt"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    require_tool("prometheus"),
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={address}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(30)

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the answer's data; an empty dict while it starts."""
        assert self._process.poll() is None, self._log.read_text("utf-8")
        url = f"{self._url}/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
            assert error.code == 503, f"{parameters}: {text}"
            return {}
        except OSError:
            return {}

    def finds(self, expr: str) -> bool:
        """Whether the query gives a number."""
        found = self.ask("query", query=expr).get("result", [])
        return any(not math.isnan(float(series["value"][1])) for series in found)

    def alerts(self) -> dict[tuple[str, str], str]:
        """Return the state of each alert that is pending or fires, by its name and stage."""
        return {
            (one["labels"]["alertname"], one["labels"].get("stage", "")): one["state"]
            for one in self.ask("alerts").get("alerts", [])
        }


@pytest.fixture(scope="module")
def prometheus(
    pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    running = Prometheus(pipeline, tmp_path_factory.mktemp("prometheus"))
    try:
        yield running
    finally:
        running.close()


def up(prometheus: Prometheus) -> set[str]:
    """Return the stages that Prometheus reads."""
    targets = prometheus.ask("targets").get("activeTargets", [])
    return {one["labels"]["stage"] for one in targets if one["health"] == "up"}


def as_grafana_asks(dashboard: dict[str, Any], expr: str) -> list[str]:
    """Return the query with every choice of the dashboard's variables."""
    choices = {
        "__rate_interval": ["10s"],
        "__range": ["1m"],
        "stream": ["demo"],
        "stage": list(STAGES),
    }
    used = sorted(set(re.findall(r"\$(\w+)", expr)))
    asked = []
    for values in itertools.product(*(choices[name] for name in used)):
        text = expr
        for name, value in zip(used, values, strict=True):
            text = text.replace(f"${name}", value)
        asked.append(text)
    return asked


def wait_for_data(prometheus: Prometheus, wanted: dict[str, str]) -> None:
    """Wait until each of the queries, which map to their places, gives a number."""
    missing = dict(wanted)

    def all_found() -> bool:
        for expr in list(missing):
            if prometheus.finds(expr):
                del missing[expr]
        return not missing

    try:
        wait_until(all_found, "data", WITHIN)
    except AssertionError:
        pytest.fail("no data for " + "\n".join(f"{w}: {expr}" for expr, w in missing.items()))


def test_every_target_is_up(prometheus: Prometheus) -> None:
    wait_until(lambda: up(prometheus) == set(STAGES), "all targets to be up", WITHIN)


@pytest.mark.parametrize("dashboard", dashboards().values(), ids=dashboards())
def test_every_query_of_a_dashboard_finds_data(
    prometheus: Prometheus, dashboard: dict[str, Any]
) -> None:
    wanted = {
        expr: query.where
        for query in queries(dashboard)
        for expr in as_grafana_asks(dashboard, query.expr)
    }
    assert len(wanted) >= 10
    wait_for_data(prometheus, wanted)


def test_every_choice_of_a_variable_is_found(prometheus: Prometheus) -> None:
    for dashboard in dashboards().values():
        for variable in dashboard["templating"]["list"]:
            words = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
            assert words
            values = prometheus.ask(f"label/{words[2]}/values", **{"match[]": words[1]})
            assert set(values) == {"stream": {"demo"}, "stage": set(STAGES)}[variable["name"]]


def test_every_rule_works_and_finds_what_it_reads(prometheus: Prometheus) -> None:
    wanted = {rule["record"]: "a record" for rule in rules("record")}
    alerts = ((one["alert"], name) for one in rules("alert") for name in metrics(one["expr"]))
    wanted |= {name: alert for alert, name in alerts if name not in ABSENT}
    wait_for_data(prometheus, wanted)
    groups = prometheus.ask("rules")["groups"]
    assert {(rule["health"], rule.get("lastError", "")) for g in groups for rule in g["rules"]} == {
        ("ok", "")
    }


def test_a_killed_classifier_raises_an_alert_that_goes_when_it_is_back(
    pipeline: Pipeline, prometheus: Prometheus
) -> None:
    alert = ("EmostreamTargetDown", "classifier")
    classifier = pipeline.stage_processes()["classifier"]
    supervisor = classifier.parent()
    assert supervisor is not None
    # Else it would be back at once.
    supervisor.suspend()
    try:
        classifier.kill()
        wait_until(lambda: prometheus.alerts().get(alert) == "firing", "the alert", WITHIN)
        (told,) = [
            one["annotations"]["summary"]
            for one in prometheus.ask("alerts")["alerts"]
            if (one["labels"]["alertname"], one["labels"].get("stage")) == alert
        ]
        assert told == f"classifier on {pipeline.config.classifier.metrics} does not answer"
    finally:
        supervisor.resume()
    wait_until(lambda: alert not in prometheus.alerts(), "the alert to go", WITHIN)
    wait_until(lambda: not pipeline.missing("classifier"), "the classifier to be ready", WITHIN)


def test_a_detector_that_stands_still_makes_the_classifier_silent(
    pipeline: Pipeline, prometheus: Prometheus
) -> None:
    alert = ("EmostreamStageSilent", "classifier")
    detector = pipeline.stage_processes()["detector"]
    supervisor = detector.parent()
    assert supervisor is not None
    # Else it would be killed as hung, and restarted.
    supervisor.suspend()
    detector.suspend()
    try:
        wait_until(lambda: prometheus.alerts().get(alert) == "firing", "the alert", WITHIN)
        assert ("EmostreamStageSilent", "display") not in prometheus.alerts()
    finally:
        detector.resume()
        supervisor.resume()
    wait_until(lambda: alert not in prometheus.alerts(), "the alert to go", WITHIN)
    wait_until(lambda: not pipeline.missing("classifier"), "the classifier to be ready", WITHIN)
