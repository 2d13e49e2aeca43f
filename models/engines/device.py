"""The device that an engine computes on: what was asked for, and what there is."""

import sys
from pathlib import Path
from typing import Final, Literal, TypeAlias

from emostream.shared.errors import ConfigError

DeviceChoice: TypeAlias = Literal["auto", "cpu", "gpu"]
Device: TypeAlias = Literal["cpu", "gpu"]

# The driver's own, that of a Jetson, and that of Windows in its Linux.
GPU_FILES: Final = tuple(map(Path, ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/dxg")))


def choose_device(wanted: DeviceChoice, engine: str, missing: str) -> Device:
    """Return where an engine computes; `missing` is what it lacks for a GPU, "" for nothing.

    ConfigError, which says what is missing, if a GPU is wanted and cannot be used.
    """
    if wanted == "gpu" and missing:
        raise ConfigError(f'no GPU for the engine {engine} (device = "gpu"): {missing}')
    return "cpu" if wanted == "cpu" or missing else "gpu"


def missing_for_gpu(build: str, libraries: str, *, is_built: bool, has_gpu: bool) -> str:
    """Return why a framework that finds no GPU has none, and what to do.

    `build` says which build to install where it `is_built` without CUDA, `libraries` what to
    install where host and build are fit; `has_gpu` is whether the system shows a GPU.
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
    """Whether the system shows a GPU of NVIDIA's; beyond Linux nobody knows, so that it does."""
    return sys.platform != "linux" or any(file.exists() for file in GPU_FILES)
