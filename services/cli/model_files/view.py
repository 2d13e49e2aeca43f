"""The output of `emostream models list` and `info`, and whether a model loads."""

import contextlib
import io
import zipfile
from pathlib import Path

from rich.table import Table

from emostream.models import engines, load, weights
from emostream.models import spec as specs
from emostream.models.prior import choose_reweighting
from emostream.models.spec import ModelSpec
from emostream.models.spec_template import spec_template
from emostream.shared.errors import EmostreamError, MissingPackageError, ModelError, WeightsError

UNKNOWN = "-"
SCALINGS = {
    "model": "0 to 255, prepared by the model",
    "0..1": "0 to 1",
    "-1..1": "-1 to 1",
    "standardise": "mean 0 and standard deviation 1 in each face",
    "mean-std": "with the mean and std in its TOML",
}


def table() -> Table:
    """Return the shipped models, one row each; the default file is loaded for its state."""
    shown = Table("name", "engines", "labels", "MB", "state")
    for name in weights.names():
        files = weights.files(name)
        sizes = ", ".join(f"{path.stat().st_size / 1e6:.1f}" for path in files.values())
        labels, state = _state(name, files)
        shown.add_row(name, ", ".join(files), labels, sizes, state)
    return shown


def _state(name: str, files: dict[str, Path]) -> tuple[str, str]:
    """Return the number of a model's labels, and whether it is intact and loads."""
    if not all(map(_is_whole, files.values())):
        return UNKNOWN, "wrong sha256"
    try:
        return str(len(load(name).labels)), "good"
    except MissingPackageError as error:
        return UNKNOWN, f"intact, not loaded: {error}"
    except ModelError as error:
        return UNKNOWN, f"does not load: {error}"


def description(name: str) -> tuple[Table, EmostreamError | None]:
    """Return the properties of a model, one row each, and why it does not load.

    Raises WeightsError if there is no such file, or if its sha256 does not match.
    """
    path = weights.find(name)
    failure: EmostreamError | None = None
    try:
        load(path)
    except (ModelError, MissingPackageError) as error:
        failure = error
    shown = Table.grid(padding=(0, 2))
    shown.add_row("name", path.stem)
    shown.add_row("loads", "yes" if failure is None else "no")
    _add_spec(shown, path)
    _add_files(shown, path)
    return shown, failure


def template(name: str) -> str:
    """Return a TOML template for a model; WeightsError if the model is unsuitable."""
    path = weights.find(name)
    return spec_template(path, engines.load_engine(path, None, 1))


def _add_spec(shown: Table, path: Path) -> None:
    """Add the properties in the TOML, if it can be read."""
    file = specs.spec_path(path)
    with contextlib.suppress(WeightsError):  # the reason why it does not load
        spec = specs.load_spec(file)
        shown.add_row("labels", ", ".join(spec.labels))
        shown.add_row("takes", faces(spec))
        shown.add_row("gives", spec.output)
        if prior := choose_reweighting(spec, path.stem):
            shares = ", ".join(f"{label} {share:.1%}" for label, share in prior.shares.items())
            shown.add_row("prior", f"{prior}: {shares}")
        shown.add_row("TOML", str(file))
        if card := specs.card_of(path):
            shown.add_row("card", str(card))


def _add_files(shown: Table, path: Path) -> None:
    """Add the model's files, and the properties that are readable without an engine."""
    files = weights.files(path.stem, path.parent)
    with contextlib.suppress(WeightsError):  # a broken Keras file
        count = parameters(files.get("keras"))
        shown.add_row("parameters", UNKNOWN if count is None else f"{count:,}")
    default = engines.SUFFIXES[path.suffix]
    missing = "" if engines.is_installed(default) else " (not installed)"
    shown.add_row("engine", f"{default}{missing}")
    for engine, file in files.items():
        shown.add_row(f"file, {engine}", f"{file} ({file.stat().st_size / 1e6:.1f} MB)")
        shown.add_row("sha256", weights.sha256(file))


def faces(spec: ModelSpec) -> str:
    """Return a model's input in words."""
    size = f"{spec.size[0]} x {spec.size[1]} (height x width)" if spec.size else "any size"
    colour = "gray" if spec.channels == 1 else spec.colour.upper()
    return f"faces of {size}, {colour}, {SCALINGS[spec.scaling]}, layout {spec.layout}"


def parameters(path: Path | None) -> int | None:
    """Count the parameters in a Keras file, without Keras; None if unknown."""
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
        raise WeightsError(f"{path} is not a saved Keras model: {error}") from error
    return sum(sizes)


def _is_whole(path: Path) -> bool:
    return weights.checksums(path).get(path.name) == weights.sha256(path)
