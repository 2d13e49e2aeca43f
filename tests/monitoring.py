"""What the tests of Prometheus and Grafana read: rules, targets and the dashboards' queries."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DOCKER = Path(__file__).parents[1] / "docker"
PROMETHEUS = DOCKER / "prometheus"
GRAFANA = DOCKER / "grafana"
METRIC = re.compile(r"\b(?:emostream[_:][a-z0-9_:]+|process_[a-z_]+|up|ALERTS)\b")
STRING = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class Query:
    """A query of a dashboard, with the place where it stands."""

    where: str
    expr: str


def load(path: Path) -> Any:
    """Return what a YAML or JSON file says."""
    return yaml.safe_load(path.read_text("utf-8"))


def rules(kind: str) -> list[dict[str, Any]]:
    """Return the rules of that kind: `alert` or `record`."""
    groups = load(PROMETHEUS / "rules.yml")["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def dashboards() -> dict[str, dict[str, Any]]:
    """Return all dashboards by their file's name."""
    files = sorted((GRAFANA / "dashboards").glob("*.json"))
    return {path.stem: json.loads(path.read_text("utf-8")) for path in files}


def queries(dashboard: dict[str, Any]) -> Iterator[Query]:
    """Yield the queries of all panels."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield Query(f"{dashboard['title']}, {panel['title']}", target["expr"])


def metrics(expr: str) -> set[str]:
    """Return the names of the series that an expression reads."""
    return set(METRIC.findall(STRING.sub('""', expr)))
