"""The manifests of docker/k8s: what they say is known, fits together, and starts."""

import argparse
import importlib
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from emostream.services.cli.commands import COMMANDS
from emostream.services.cli.processes.stages import ALL_STAGES
from emostream.shared.config import load
from emostream.shared.shipped_files import ROOT
from tests.manifests import (
    K8S,
    PIPELINES,
    Resource,
    all_containers,
    documents,
    make_keys,
    named,
    pod_templates,
    render,
    with_keys,
)
from tests.pods import ENTRYPOINT, Pod, pods

# Of other projects: kubernetes-validate knows nothing of them.
OTHERS: Final = {"monitoring.coreos.com/v1", "keda.sh/v1alpha1", "ray.io/v1"}
# The oldest that has all that is used, and the newest that is known.
VERSIONS: Final = ("1.27.0", kubernetes_validate.latest_version())
HASH: Final = re.compile(r"-[0-9a-z]{10}$")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """docker/k8s with keys."""
    return with_keys(tmp_path_factory.mktemp("manifests"))


@pytest.fixture(scope="module", params=PIPELINES)
def resources(request: pytest.FixtureRequest, folder: Path) -> list[Resource]:
    return render(folder / request.param)


def parts(resource: Resource) -> Iterator[Resource]:
    """Yield the resource; of one of another project the pods in it."""
    if resource["apiVersion"] not in OTHERS:
        yield resource
    elif resource["kind"] == "RayJob":
        cluster = resource["spec"]["rayClusterSpec"]
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            template = group["template"]
            metadata = {**template["metadata"], "name": "any"}
            yield {"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata}


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(resources: list[Resource], version: str) -> None:
    jobs = [each for path in (K8S / "batch").glob("*.yaml") for each in documents(path)]
    checked = [part for each in (*resources, *jobs) for part in parts(each)]
    assert len(checked) > 30
    for each in checked:
        kubernetes_validate.validate(each, version, strict=True)


def test_an_unknown_field_would_be_found(resources: list[Resource]) -> None:
    wrong = {**named(resources, "PodDisruptionBudget", "classifiers"), "spec": {"maxAway": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_kustomize_puts_them_together_as_the_tests_do(folder: Path, pipeline: str) -> None:
    """kubectl is on few machines that run tests: without it, nothing compares."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        ["kubectl", "kustomize", folder / pipeline], capture_output=True, text=True, check=True
    )
    theirs = list(yaml.safe_load_all(done.stdout))
    assert by_name(without_hashes(theirs)) == by_name(render(folder / pipeline))


def by_name(resources: list[Resource]) -> dict[tuple[str, str], Resource]:
    return {(each["kind"], each["metadata"]["name"]): each for each in resources}


def without_hashes(resources: list[Resource]) -> list[Resource]:
    """Return the resources with the names of what is generated, and data, as the tests have it."""
    for each in resources:
        if each["kind"] == "Secret":
            # Long lines are broken.
            each["data"] = {key: "".join(text.split()) for key, text in each["data"].items()}
    generated = {
        each["metadata"]["name"]: HASH.sub("", each["metadata"]["name"])
        for each in resources
        if each["kind"] in ("ConfigMap", "Secret")
    }

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(each) for key, each in value.items()}
        if isinstance(value, list):
            return [renamed(each) for each in value]
        return generated.get(value, value) if isinstance(value, str) else value

    return [renamed(each) for each in resources]


def test_every_pod_is_restricted(resources: list[Resource]) -> None:
    """As the namespace enforces it; a pod that is not would never start."""
    namespace = named(resources, "Namespace", "emostream")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, spec in pod_templates(resources):
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
    for container in all_containers(resources):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_the_pods_run_as_the_user_of_the_image_and_start_what_it_starts() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text("utf-8")
    (patch,) = documents(K8S / "base" / "every-stage.yaml")
    context = patch["spec"]["template"]["spec"]["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}\n" in dockerfile
    assert f'ENTRYPOINT ["{ENTRYPOINT[0]}"]\n' in dockerfile


def test_every_endpoint_is_a_service_with_that_port(resources: list[Resource]) -> None:
    """A name in the configuration that no Service has would be looked up forever."""
    text = named(resources, "ConfigMap", "configuration")["data"]["emostream.toml"]
    told = tomllib.loads(text)
    services = {
        host: ports(each) for each in resources if each["kind"] == "Service" for host in hosts(each)
    }
    connected = [
        *(endpoint for endpoints in told["connect"].values() for endpoint in endpoints),
        *(told["relay"]["connect"] + told["classifier"]["active"] + told["classifier"]["standbys"]),
        *(f"tcp://{address}" for address in told["display"]["watch"]),
    ]
    for container in all_containers(resources):
        connected += re.findall(r"tcp://[\w.-]+:\d+", " ".join(container.get("args", ())))
    for endpoint in connected:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        assert int(port) in services[host], endpoint


def hosts(service: Resource) -> list[str]:
    """Return the names by which pods reach the service, or each of its pods."""
    name = service["metadata"]["name"]
    if name != "classifier":
        return [name]
    # Of several pods the one name would be any of them.
    return [f"{name}-{number}.{name}" for number in range(4)]


def ports(service: Resource) -> set[int]:
    return {port["port"] for port in service["spec"]["ports"]}


def test_every_selector_finds_pods_and_the_ports_that_it_names(
    resources: list[Resource],
) -> None:
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in resources
        if each["kind"] in ("Deployment", "StatefulSet")
    }
    named_ports = {
        name: {port["name"] for port in spec["containers"][0]["ports"]}
        for name, spec in pod_templates(resources)
    }

    def found(selector: dict[str, str]) -> list[str]:
        return [name for name, has in labels.items() if selector.items() <= has.items()]

    for service in (each for each in resources if each["kind"] == "Service"):
        (name,) = found(service["spec"]["selector"])
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named_ports[name]
    for policy in (each for each in resources if each["kind"] == "NetworkPolicy"):
        selected = found(policy["spec"]["podSelector"].get("matchLabels", {}))
        assert selected, policy["metadata"]["name"]
        for rule in policy["spec"].get("ingress", ()):
            for port in rule["ports"]:
                assert all(port["port"] in named_ports[name] for name in selected)
            for peer in rule["from"]:
                for wanted in peer.get("podSelector", {}).get("matchExpressions", ()):
                    assert set(wanted["values"]) <= labels.keys()
    budget = named(resources, "PodDisruptionBudget", "classifiers")
    assert found(budget["spec"]["selector"]["matchLabels"]) == ["classifier", "standby"]


def test_the_probes_ask_what_every_stage_answers(resources: list[Resource]) -> None:
    for _, spec in pod_templates(resources):
        (container,) = spec["containers"]
        asked = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness")]
        assert asked == [{"path": "/livez", "port": "metrics"}] * 2
        assert container["readinessProbe"]["httpGet"]["path"] in ("/readyz", "/livez")
        metrics = next(port for port in container["ports"] if port["name"] == "metrics")
        # A classifier is started by a script.
        (stage, *_) = container.get("args", ["classifier"])
        assert stage in ALL_STAGES
        text = named(resources, "ConfigMap", "configuration")["data"]["emostream.toml"]
        bound = tomllib.loads(text)[stage]["metrics"]
        assert bound == f"0.0.0.0:{metrics['containerPort']}"


@pytest.mark.slow
def test_every_container_would_start(resources: list[Resource], tmp_path: Path) -> None:
    """Its command line, with its volumes in their places: the configuration, keys and tokens."""
    checked = pods(resources, tmp_path)
    assert len(checked) == 8
    for pod in checked:
        pod.prepare()
        (container,) = pod.spec["containers"]
        done = pod.run(container, "--check-config")
        assert done.returncode == 0, f"{pod.name}: {done.stdout}{done.stderr}"
        assert re.search(r"/(emostream|cameras)\.toml: good\n$", done.stdout), pod.name


@pytest.mark.slow
def test_a_pod_without_its_keys_does_not_start(folder: Path, tmp_path: Path) -> None:
    resources = render(folder / "demo")
    del named(resources, "Secret", "keys-relay")["data"]["peers.json"]
    relay = Pod("relay", named(resources, "Deployment", "relay"), resources, tmp_path / "relay")
    with pytest.raises(AssertionError, match=r"peers\.json"):
        relay.prepare()


def test_the_keys_let_in_whom_they_must_and_nobody_else(folder: Path) -> None:
    before = {path: path.read_bytes() for path in (folder / "keys").rglob("*.json")}
    assert len(before) == 20
    allowed = listed(folder, "detector")
    assert {name for name, topics in allowed.items() if topics == "faces"} == {
        *(f"classifier-{number}" for number in range(4)),
        "standby",
    }
    # It listens to capture, which may have nothing of it.
    assert allowed["capture"] == "credit"
    assert listed(folder, "relay") == {
        **{f"classifier-{number}": "credit" for number in range(4)},
        "standby": "credit",
        "recorder": "emotion,event",
        "display": "emotion,event",
    }
    # A second time nothing changes: keys that pods have stay good.
    make_keys(folder)
    assert before == {path: path.read_bytes() for path in (folder / "keys").rglob("*.json")}


def listed(folder: Path, pod: str) -> dict[str, str]:
    """Return the topics of each peer that a pod lets in, as its configuration is read."""
    text = (folder / "keys" / pod / "peers.json").read_text("utf-8")
    return {peer["name"]: ",".join(peer["topics"]) for peer in yaml.safe_load(text)}


def test_the_batch_command_is_one_that_there_is() -> None:
    if "batch" not in COMMANDS:
        pytest.skip("this version has no `emostream batch`")
    (job,) = documents(K8S / "batch" / "rayjob.yaml")
    program, name, *words = job["spec"]["entrypoint"].split()
    assert (program, name) == ("emostream", "batch")
    module = importlib.import_module(f"emostream.services.cli.{COMMANDS['batch'].package}.command")
    parser = argparse.ArgumentParser()
    module.add_options(parser)
    options = parser.parse_args(words)
    (workers,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    cores = workers["maxReplicas"] * int(container["resources"]["limits"]["cpu"])
    assert (options.inputs, options.address, options.workers) == (["/archive"], "auto", cores)


def test_the_job_mounts_what_its_command_reads() -> None:
    job = next(
        each for each in documents(K8S / "batch" / "rayjob.yaml") if each["kind"] == "RayJob"
    )
    _, _, archive, *_ = job["spec"]["entrypoint"].split()
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        (container,) = group["template"]["spec"]["containers"]
        assert archive in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_cameras_are_known_to_capture_alone(folder: Path) -> None:
    data = named(render(folder / "cameras"), "ConfigMap", "configuration")["data"]
    assert "rtsp" not in data["emostream.toml"]
    path = folder / "cameras" / "cameras.toml"
    assert {source.name for source in load(path).capture.sources} == {"hall", "door"}
