"""Rules, alerts and dashboards: they fit the metrics, the documentation and one another."""

import re
import shutil
import subprocess
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from emostream.services.cli.processes.stages import STAGES
from emostream.shared.colors import COLORS
from emostream.shared.config import Config
from tests.certificates import certificate
from tests.conftest import require_tool
from tests.monitoring import DOCKER, GRAFANA, PROMETHEUS, dashboards, load, metrics, queries, rules

DOCS = DOCKER.parent / "docs"
PART_OF_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")
# What Grafana itself puts in.
BUILT_IN = {"__rate_interval", "__range"}
every_dashboard = pytest.mark.parametrize("dashboard", dashboards().values(), ids=dashboards())
every_alert = pytest.mark.parametrize("alert", rules("alert"), ids=lambda alert: alert["alert"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "rules.yml"),
        ("test", "rules", "rules.test.yml", "confidence.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [require_tool("promtool"), *arguments], cwd=PROMETHEUS, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_configuration_for_tls_once_its_files_are_there(tmp_path: Path) -> None:
    for name in ("prometheus.tls.yml", "rules.yml", "targets.yml"):
        shutil.copy(PROMETHEUS / name, tmp_path)
    check = [require_tool("promtool"), "check", "config", "prometheus.tls.yml"]
    shutil.copy(certificate(tmp_path).cert, tmp_path / "tls.crt")
    lacking = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True)
    assert "metrics.token" in lacking.stderr
    (tmp_path / "metrics.token").write_text("sesame")
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_for_tls_differs_in_nothing_else() -> None:
    plain, encrypted = load(PROMETHEUS / "prometheus.yml"), load(PROMETHEUS / "prometheus.tls.yml")
    (job,) = encrypted["scrape_configs"]
    added = {name: job.pop(name) for name in ("scheme", "authorization", "tls_config")}
    assert encrypted == plain
    assert added["scheme"] == "https"
    assert added["authorization"] == {"credentials_file": "metrics.token"}


def test_the_targets_are_where_the_stages_answer() -> None:
    config = Config()
    assert {one["labels"]["stage"]: one["targets"] for one in load(PROMETHEUS / "targets.yml")} == {
        stage: [getattr(config, stage).metrics] for stage in STAGES
    }
    composed = tomllib.loads((DOCKER / "compose.toml").read_text("utf-8"))
    targets = load(PROMETHEUS / "targets.compose.yml")
    assert {one["labels"]["stage"]: one["targets"] for one in targets} == {
        stage: [composed[stage]["metrics"].replace("0.0.0.0", stage)] for stage in STAGES
    }


@every_alert
def test_an_alert_says_what_is_wrong_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert re.fullmatch(r"\d+m", alert["for"])
    page, anchor = alert["annotations"]["runbook"].split("#")
    assert page == "docs/operations.md"
    row = re.search(f'^.*<a id="{anchor}"></a>.*$', (DOCS / "operations.md").read_text(), re.M)
    assert row
    assert alert["alert"] in row[0]


def test_the_operations_page_has_a_row_for_no_other_alert() -> None:
    named = set(re.findall(r"\bEmostream\w+", (DOCS / "operations.md").read_text("utf-8")))
    assert named == {alert["alert"] for alert in rules("alert")}


def test_every_alert_is_seen_to_fire_by_promtool() -> None:
    fired = {
        name
        for file in PROMETHEUS.glob("*.test.yml")
        for name in re.findall(r'"(Emostream\w+)", alertstate="firing", [a-z]', file.read_text())
    }
    assert fired == {alert["alert"] for alert in rules("alert")}


def test_rules_and_dashboards_read_metrics_that_exist() -> None:
    known = set(re.findall(r"^\| `([^`]+)`", (DOCS / "metrics.md").read_text("utf-8"), re.M))
    known |= {rule["record"] for rule in rules("record")} | {"up", "ALERTS"}
    exprs = [rule["expr"] for kind in ("record", "alert") for rule in rules(kind)]
    exprs += [query.expr for dashboard in dashboards().values() for query in queries(dashboard)]
    read = {name for expr in exprs for name in metrics(expr) if not name.startswith("process_")}
    assert {name for name in read if not {name, PART_OF_HISTOGRAM.sub("", name)} & known} == set()


def test_dashboards_are_told_apart_and_reach_each_other() -> None:
    assert set(dashboards()) == {"overview", "stage", "emotions"}
    for key in ("uid", "title"):
        assert len({one[key] for one in dashboards().values()}) == 3
    for one in dashboards().values():
        assert one["tags"] == ["emostream"] == one["links"][0]["tags"]
        assert one["schemaVersion"] == 39


@every_dashboard
def test_panels_lie_side_by_side(dashboard: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or apart, (one, other)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


@every_dashboard
def test_panels_say_what_they_show_and_ask_the_provisioned_source(
    dashboard: dict[str, Any],
) -> None:
    (source,) = load(GRAFANA / "datasource.yaml")["datasources"]
    asked = {"type": source["type"], "uid": source["uid"]}
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"] == asked
        assert [target["refId"] for target in panel["targets"]] == list("ABCD")[
            : len(panel["targets"])
        ]
        assert all(target["expr"] for target in panel["targets"])
        if panel["type"] not in ("table", "heatmap"):
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


@every_dashboard
def test_every_variable_is_defined_and_used(dashboard: dict[str, Any]) -> None:
    defined = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = {name for query in queries(dashboard) for name in re.findall(r"\$\{?(\w+)", query.expr)}
    assert used - BUILT_IN == defined


def test_an_emotion_has_the_color_that_the_page_gives_it() -> None:
    for panel in dashboards()["emotions"]["panels"]:
        overrides = panel["fieldConfig"]["overrides"]
        if overrides:
            assert {
                one["matcher"]["options"]: one["properties"][0]["value"]["fixedColor"]
                for one in overrides
            } == COLORS, panel["title"]


def test_the_rate_interval_is_that_of_the_scrapes() -> None:
    (source,) = load(GRAFANA / "datasource.yaml")["datasources"]
    scraped = load(PROMETHEUS / "prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped


def test_compose_pins_images_and_mounts_what_is_there_and_opens_nothing_outside() -> None:
    compose = load(DOCKER / "compose.yaml")
    for name, service in compose["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        for mount in service.get("volumes", ()):
            source, inside, *mode = mount.split(":")
            if source.startswith("."):
                assert mode == ["ro"], mount
                assert (DOCKER / source).exists(), mount
                assert Path(inside).is_absolute()
            else:
                assert source in compose["volumes"]
    composed = tomllib.loads((DOCKER / "compose.toml").read_text("utf-8"))["display"]
    folder = str(Path(composed["token_file"]).parent)
    assert composed["create_token"]
    # What the display makes there is there after a new start too.
    assert f"secrets:{folder}" in compose["services"]["display"]["volumes"]
    for name in ("prometheus", "grafana"):
        service = compose["services"][name]
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
        assert service["profiles"] == ["monitoring"]
    (source,) = load(GRAFANA / "datasource.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = load(GRAFANA / "provider.yaml")["providers"]
    mounts = compose["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts
