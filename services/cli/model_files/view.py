"""What `emostream models list` and `info` show; no model is loaded for it."""

import io
import zipfile
from pathlib import Path

from rich.table import Table

from emostream.models import engines, weights
from emostream.models import spec as specs
from emostream.models.spec import ModelSpec
from emostream.shared.errors import WeightsError

UNKNOWN = "-"
SCALINGS = {
    "model": "0 to 255, the model prepares them",
    "0..1": "0 to 1",
    "-1..1": "-1 to 1",
    "standardise": "mean 0 and deviation 1 in each face",
    "mean-std": "by the mean and std of its TOML",
}


def table() -> Table:
    """Return the shipped models, a row each."""
    shown = Table("name", "engines", "labels", "MB", "sha256")
    for name in weights.names():
        files = weights.files(name)
        sizes = ", ".join(f"{path.stat().st_size / 1e6:.1f}" for path in files.values())
        file = specs.spec_path(weights.FOLDER / name)
        labels = str(len(specs.load_spec(file).labels)) if file.is_file() else UNKNOWN
        good = all(map(_good, files.values()))
        shown.add_row(name, ", ".join(files), labels, sizes, "good" if good else "wrong")
    return shown


def description(name: str) -> Table:
    """Return what is known of a model, a row a property; WeightsError where there is none."""
    path = weights.find(name)
    files = weights.files(path.stem, path.parent)
    spec = specs.load_spec(specs.spec_path(path))
    shown = Table.grid(padding=(0, 2))
    shown.add_row("name", path.stem)
    shown.add_row("labels", ", ".join(spec.labels))
    shown.add_row("takes", faces(spec))
    shown.add_row("gives", spec.output)
    count = parameters(files.get("keras"))
    shown.add_row("parameters", UNKNOWN if count is None else f"{count:,}")
    default = engines.SUFFIXES[path.suffix]
    shown.add_row(
        "engine", f"{default}{'' if engines.is_installed(default) else ' (not installed)'}"
    )
    for engine, file in files.items():
        shown.add_row(f"file, {engine}", f"{file} ({file.stat().st_size / 1e6:.1f} MB)")
        shown.add_row("sha256", weights.sha256(file))
    shown.add_row("TOML", str(specs.spec_path(path)))
    card = path.parent / spec.card
    if card.is_file():
        shown.add_row("card", str(card.resolve()))
    return shown


def faces(spec: ModelSpec) -> str:
    """Say in words what a model takes."""
    size = f"{spec.size[0]} x {spec.size[1]} (height x width)" if spec.size else "any size"
    colour = "gray" if spec.channels == 1 else spec.colour.upper()
    return f"faces of {size}, {colour}, {SCALINGS[spec.scaling]}, layout {spec.layout}"


def parameters(path: Path | None) -> int | None:
    """Count the numbers in a Keras file, without Keras; None where that cannot be spec."""
    try:
        import h5py
    except ImportError:
        return None
    if path is None:
        return None
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as saved:
                content = io.BytesIO(saved.read("model.weights.h5"))
        else:
            content = io.BytesIO(path.read_bytes())
        with h5py.File(content) as file:
            sizes: list[int] = []

            def count(name: str, item: object) -> None:
                state = name.startswith("optimizer") or "seed_generator" in name
                if isinstance(item, h5py.Dataset) and not state:
                    sizes.append(int(item.size))

            file.visititems(count)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} is no saved Keras model: {error}") from error
    return sum(sizes)


def _good(path: Path) -> bool:
    return weights.checksums(path).get(path.name) == weights.sha256(path)
