"""Checks the model, the detector's weights, their engine, and the GPU."""

import importlib.metadata
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emostream.models import load, spec, weights
from emostream.models.engines import ENGINES, SUFFIXES, is_installed
from emostream.services.cli.doctor.finding import Finding, good, problem, warning
from emostream.services.detector.backends import FETCH, Choice, Selection, select
from emostream.shared.config import Classifier, Detector
from emostream.shared.errors import ConfigError, MissingPackageError, ModelError, WeightsError
from emostream.shared.plural import counted

SMI: Final = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
SMI_WITHIN_S: Final = 3
GPU_DEVICE: Final = Path("/dev/nvidiactl")
HELP: Final = "run emostream models list, and see docs/models.md"

# Advice for an engine that uses the CPU although there is a GPU.
GPU_ADVICE: Final = {
    "litert": "litert runs on the CPU; classifier.device=gpu selects another engine",
    "onnxruntime": "onnxruntime runs on the CPU; classifier.device=gpu tells you why",
}


@dataclass(frozen=True)
class Model:
    """The classifier's model: its file, and why it is unusable, or ""."""

    name: str
    engine: str
    failure: str = ""
    path: Path = Path()
    bytes: int = 0
    sha256: str = ""
    labels: int = 0
    device: str = ""  # the device and runtime; "" if not tried
    known: bool = True  # whether there was a sha256 to compare with

    @property
    def group(self) -> str:
        """The optional group that includes its engine."""
        return ENGINES[self.engine].group


@dataclass(frozen=True)
class Gpu:
    """NVIDIA GPUs and the software that could use them.

    `failure` is the error of `nvidia-smi`, `device` whether the kernel has a GPU. `onnxruntime` are
    its providers, and `cuda` is whether TensorFlow's CUDA libraries are installed; both are None
    without the package.
    """

    names: tuple[str, ...] = ()
    failure: str = ""
    device: bool = False
    onnxruntime: tuple[str, ...] | None = None
    cuda: bool | None = None


def probe_model(settings: Classifier) -> Model:
    """Find the model's file, compare its sha256, and load it if its engine is installed."""
    chosen = settings.model_engine
    engine: str = chosen if chosen != "auto" else "litert"
    try:
        path = weights.find(settings.model, chosen, settings.device)
        engine = SUFFIXES[path.suffix]
        device = ""
        if is_installed(engine):
            model = load(settings.model, chosen, device=settings.device)
            labels, device = model.labels, f"{model.device}, by {model.runtime}"
        else:
            labels = spec.load_spec(spec.spec_path(path)).labels
        return Model(
            settings.model,
            engine,
            path=path,
            bytes=path.stat().st_size,
            sha256=weights.sha256(path),
            labels=len(labels),
            device=device,
            known=path.name in weights.checksums(path),
        )
    except (ModelError, ConfigError) as error:
        return Model(settings.model, engine, str(error))


def check_model(model: Model) -> Finding:
    """Check the model."""
    if model.failure:
        return problem("model", model.failure, HELP)
    hashed = f"sha256 {model.sha256[:12]} " + ("as expected" if model.known else "not known")
    size = f"{model.bytes / 1e6:.1f} MB"
    return good(
        "model",
        f"{model.path.name} ({size}, {counted(model.labels, 'label')}, {hashed}),"
        f" run by {model.engine}" + (f" on the {model.device}" if model.device else ""),
    )


def check_detector(
    settings: Detector, select: Callable[[Choice, Path | None], Selection] = select
) -> Finding:
    """Check the detector and its weights, as found by `select`."""
    try:
        chosen = select(settings.backend, Path(settings.weights) if settings.weights else None)
    except WeightsError as error:
        return problem("detector", str(error), "see docs/configuration.md#detector")
    except MissingPackageError as error:
        return problem("detector", str(error), "or set detector.backend=auto")
    if settings.backend == "auto" and chosen.backend == "blazeface":
        return warning("detector", str(chosen), f"YuNet finds more faces: {FETCH}")
    return good("detector", str(chosen))


def probe_gpu() -> Gpu:
    """Query the driver and the engines for GPUs, as far as that is quick."""
    names, failure = _driver()
    return Gpu(names, failure, GPU_DEVICE.exists(), _providers(), _cuda())


def check_gpu(gpu: Gpu, engine: str, device: str = "") -> Finding:
    """Check whether the engine in use can use the GPU; `device` is its current device."""
    if device.startswith("gpu"):
        return good("GPU", f"{', '.join(gpu.names) or 'one'}; the classifier uses it")
    if gpu.failure:
        return warning(
            "GPU",
            f"nvidia-smi reports: {gpu.failure}",
            "repair the NVIDIA driver (a restart often helps); until then the CPU is used",
        )
    if not gpu.names and gpu.device:
        return warning(
            "GPU",
            "found, but nvidia-smi is missing",
            "install the NVIDIA driver with its tools; start containers with --gpus all",
        )
    if not gpu.names:
        return good("GPU", "no NVIDIA GPU; the CPU is used")
    found = f"{', '.join(gpu.names)}; {_gpu_support(gpu)}"
    if engine == "keras" and not gpu.cuda:
        return warning(
            "GPU", found, "pip install 'tensorflow[and-cuda]' in the version that is installed"
        )
    return good("GPU", found, GPU_ADVICE.get(engine, ""))


def _gpu_support(gpu: Gpu) -> str:
    keras = {
        None: "TensorFlow is not installed",
        True: "TensorFlow (engine keras) has its CUDA libraries",
        False: "TensorFlow (engine keras) lacks its CUDA libraries",
    }[gpu.cuda]
    if gpu.onnxruntime is None:
        return keras
    has = "CUDAExecutionProvider" in gpu.onnxruntime
    build = "has CUDA" if has else "is a build without CUDA"
    return f"{keras}; onnxruntime {build}"


def _driver() -> tuple[tuple[str, ...], str]:
    """Return the GPUs listed by nvidia-smi, or its error."""
    try:
        done = subprocess.run(
            SMI, capture_output=True, text=True, timeout=SMI_WITHIN_S, check=False
        )
    except FileNotFoundError:
        return (), ""
    except (OSError, subprocess.TimeoutExpired) as error:
        return (), f"nothing ({error})"
    lines = tuple(line.strip() for line in done.stdout.splitlines() if line.strip())
    if done.returncode:
        return (), (lines or tuple(done.stderr.splitlines()) or ("nothing",))[0]
    return tuple(line.replace(", ", ", driver ") for line in lines), ""


def _providers() -> tuple[str, ...] | None:
    try:
        import onnxruntime
    except ImportError:
        return None
    return tuple(onnxruntime.get_available_providers())


def _cuda() -> bool | None:
    """Return whether pip installed TensorFlow's CUDA libraries; importing would take seconds."""
    names = {(found.name or "").lower() for found in importlib.metadata.distributions()}
    if "tensorflow" not in names:
        return None
    return any(name.startswith("nvidia-cudnn") for name in names)
