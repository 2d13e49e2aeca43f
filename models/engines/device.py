"""The device that an engine computes on: requested and available."""

import sys
from pathlib import Path
from typing import Final, Literal, TypeAlias

from emostream.shared.errors import ConfigError

DeviceChoice: TypeAlias = Literal["auto", "cpu", "gpu"]
Device: TypeAlias = Literal["cpu", "gpu"]

# Device files of the NVIDIA driver, of a Jetson, and of WSL.
GPU_FILES: Final = tuple(map(Path, ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/dxg")))


def choose_device(wanted: DeviceChoice, engine: str, missing: str) -> Device:
    """Return the device for an engine; `missing` is what it lacks for a GPU, "" for nothing.

    Raises ConfigError, which says what is missing, if a GPU is requested but unusable.
    """
    if wanted == "gpu" and missing:
        raise ConfigError(f'no GPU for the engine {engine} (device = "gpu"): {missing}')
    return "cpu" if wanted == "cpu" or missing else "gpu"


def missing_for_gpu(build: str, libraries: str, *, is_built: bool, has_gpu: bool) -> str:
    """Return why a framework finds no GPU, and what to do.

    `build` is the advice if the framework is not `is_built` with CUDA, `libraries` the advice if
    host and build are fine; `has_gpu` is whether the system has a GPU.
    """
    missing = []
    if not has_gpu:
        missing.append(
            "this host shows no NVIDIA GPU (no /dev/nvidiactl: install NVIDIA's driver, or start"
            " the container with --gpus all)"
        )
    if not is_built:
        missing.append(build)
    return "; ".join(missing) or libraries


def has_gpu() -> bool:
    """Whether the system has an NVIDIA GPU; assumed True on systems other than Linux."""
    return sys.platform != "linux" or any(file.exists() for file in GPU_FILES)
