"""Checks that the required Python packages are installed, as pinned, and importable."""

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from emostream.services.cli.doctor.finding import Finding, good, problem, warning
from emostream.shared.config import Config
from emostream.shared.optional_groups import canonical_name, install_command, packages_of
from emostream.shared.shipped_files import ROOT

PINS: Final = ROOT / "requirements.lock"
# Packages with native code, which may not fit the machine. TensorFlow is not included, because
# importing it takes seconds.
NATIVE: Final = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "av": "av",
    "msgpack": "msgpack",
    "msgspec": "msgspec",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "opencv-python": "cv2",
    "pillow": "PIL.Image",
    "pillow-heif": "pillow_heif",
    "pyzmq": "zmq",
}
DETECTOR_GROUPS: Final[dict[str, list[str]]] = {"blazeface": ["blazeface"], "haar": []}
IMPORT_WITHIN_S: Final = 30
# In a separate process, because code that does not fit the CPU crashes it.
_TRIAL: Final = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        failure = ""
    except Exception as error:
        failure = f"{type(error).__name__}: {error}".replace(chr(10), " ")
    print(name, failure, sep=chr(9), flush=True)
"""
_PIN: Final = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """A required package, of an optional group ("" for none).

    `version` is None if it is missing, `pin` is None if no version was tested; `failure` is why it
    cannot be imported.
    """

    name: str
    group: str
    version: str | None
    pin: str | None
    failure: str = ""


def findings(config: Config, stages: Sequence[str], engine_group: str) -> list[Finding]:
    """Check the packages of these stages; `engine_group` is for the classifier's engine."""
    return check(probe(groups(config, stages, engine_group)))


def groups(config: Config, stages: Sequence[str], engine_group: str) -> set[str]:
    """Return the optional groups that the stages need."""
    own = {
        "detector": DETECTOR_GROUPS.get(config.detector.backend, ["detector"]),
        "classifier": [engine_group, *(["ray"] if config.classifier.engine == "ray" else [])],
    }
    return {group for stage in stages for group in own.get(stage, [stage])}


def probe(wanted: set[str]) -> list[Package]:
    """Look up the packages of these groups, and try to import those with native parts."""
    required = _required(wanted)
    versions = {name: _version(name) for name in required}
    tried = _import([NATIVE[name] for name in required if name in NATIVE and versions[name]])
    pins = _pins()
    return [
        Package(
            name,
            group,
            versions[name],
            pins.get(canonical_name(name)),
            tried.get(NATIVE.get(name, ""), ""),
        )
        for name, group in required.items()
    ]


def check(packages: Sequence[Package]) -> list[Finding]:
    """Check the packages."""
    missing = [package for package in packages if package.version is None]
    found = [_broken(package) for package in packages if package.failure]
    if missing:
        names = ", ".join(package.name for package in missing)
        groups = sorted({package.group for package in missing} - {""})
        advice = f"{install_command(*groups)}, or make install in the checkout"
        found.append(problem("packages", f"missing: {names}", advice))
    if other := [p for p in packages if p.version and p.pin and p.version != p.pin]:
        names = ", ".join(f"{p.name} {p.version} (tested: {p.pin})" for p in other)
        advice = "run make install for the tested versions"
        found.append(warning("packages", f"other versions: {names}", advice))
    # An installed wheel has no lock file, so versions were not compared.
    tested = ", in the tested versions" if any(package.pin for package in packages) else ""
    return found or [good("packages", f"all {len(packages)} are there{tested}")]


def _broken(package: Package) -> Finding:
    advice = f"install it again: pip install --force-reinstall {package.name}=={package.version}"
    if package.name == "opencv-python" and ".so" in package.failure:
        advice = (
            "install the system libraries that OpenCV needs: apt-get install libgl1 libglib2.0-0"
        )
    text = f"{package.name} {package.version} cannot be imported: {package.failure}"
    return problem("packages", text, advice)


def _required(wanted: set[str]) -> dict[str, str]:
    """Return the packages outside groups and in these groups, each with its first group."""
    required: dict[str, str] = {}
    for group in ("", *sorted(wanted)):
        for name in sorted(packages_of(group)):
            required.setdefault(name, group)
    return required


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _pins() -> dict[str, str]:
    """Return the tested versions; empty without a lock file."""
    if not PINS.is_file():
        return {}
    return {
        canonical_name(name): version for name, version in _PIN.findall(PINS.read_text("utf-8"))
    }


def _import(modules: Sequence[str]) -> dict[str, str]:
    """Import the modules in another process; return each one's error, "" on success."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _TRIAL, *modules],
            capture_output=True,
            text=True,
            timeout=IMPORT_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return dict.fromkeys(modules, f"it takes more than {IMPORT_WITHIN_S} s")
    tried = {
        name: failure
        for name, tab, failure in (line.partition("\t") for line in done.stdout.splitlines())
        if tab
    }
    # The first missing module crashed the process; the others were not tried.
    ended = next((module for module in modules if module not in tried), None)
    if ended is not None:
        tried[ended] = f"the import crashed (exit code {done.returncode})"
    return tried
