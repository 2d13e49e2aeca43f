"""The files of saved models: their locations and sha256 checksums."""

import hashlib
import io
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from emostream.models.engines import ENGINES, SUFFIXES, engine_info, is_installed
from emostream.models.engines.device import DeviceChoice
from emostream.shared.errors import WeightsError
from emostream.shared.whole_file import read_whole

FOLDER: Final = Path(__file__).parent / "weights"


def names() -> list[str]:
    """Return the names of the shipped models, sorted."""
    return sorted({path.stem for path in FOLDER.glob("*") if path.suffix in SUFFIXES})


def files(name: str, folder: Path | None = None) -> dict[str, Path]:
    """Return the files of a model by engine, in the order of preference for "auto".

    The default folder is that of the shipped models.
    """
    folder = folder or FOLDER
    return {
        engine: path
        for engine, kind in ENGINES.items()
        for suffix in kind.suffixes
        if (path := folder / f"{name}{suffix}").is_file()
    }


def find(name_or_path: str | Path, engine: str = "auto", device: DeviceChoice = "auto") -> Path:
    """Return the verified file of a shipped model by name, or of any other by path.

    `engine` selects among files that differ only in suffix. "auto" uses a path unchanged, and for a
    name, the first file whose engine is installed; for the device "gpu", preferably one whose
    engine supports a GPU. Raises WeightsError if the file is missing or does not match the .sha256
    file next to it (in the format of sha256sum). A shipped file must have a line there.
    """
    if engine != "auto":
        engine_info(engine)
    if str(name_or_path) in names():
        path = _shipped(str(name_or_path), engine, device)
    else:
        path = _given(Path(name_or_path), engine)
    verify(path)
    return path


def sha256(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum_file(path: Path) -> Path:
    """Return the path of the file with the sha256 of a model's files, one line per file."""
    return path.with_suffix(".sha256")


def checksums(path: Path) -> dict[str, str]:
    """Return the expected sha256 by file name, for a model's files with all suffixes.

    Raises WeightsError if they cannot be read.
    """
    listing = checksum_file(path)
    if not listing.is_file():
        return {}
    try:
        text = read_whole(listing).decode("utf-8")
    except OSError as error:
        raise WeightsError(f"{listing}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WeightsError(f"{listing}: is not UTF-8 text") from error
    lines = (line.split() for line in text.splitlines())
    return {words[1].lstrip("*"): words[0] for words in lines if len(words) == 2}


def write_checksum(path: Path, content: Path | None = None) -> str:
    """Write the line of a file to the model's .sha256 file, return the digest.

    `content` is about to replace the file. Writing the line first means that a process that waits
    for the file to change finds the line there.
    """
    known = checksums(path) | {path.name: sha256(content or path)}
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(known.items()))
    checksum_file(path).write_text(text, encoding="utf-8")
    return known[path.name]


def save(model: Any, path: Path) -> str:
    """Save a Keras model with matrices as float16, and the .sha256 line; return the digest.

    The file has half the size of `model.save`, and plain Keras loads it, with the values in float32
    variables. One-dimensional arrays (biases, means and variances, which may exceed the range of
    float16) stay float32. The saved model computes in float32, even if it was trained in mixed
    precision.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole, part = Path(folder) / "whole.keras", Path(folder) / path.name
        model.save(whole)
        with zipfile.ZipFile(whole) as saved, zipfile.ZipFile(part, "w") as new:
            for entry in saved.infolist():
                new.writestr(entry, _converted(entry.filename, saved.read(entry)))
        digest = write_checksum(path, part)
        part.replace(path)
    return digest


def verify(path: Path) -> None:
    """Raise WeightsError if a file does not match its .sha256 file."""
    expected = checksums(path).get(path.name)
    if expected is None and path.parent == FOLDER:
        raise WeightsError(
            f"no sha256 of {path.name} in {checksum_file(path)}: restore it with git"
        )
    if expected not in (None, sha256(path)):
        raise WeightsError(f"{path} is corrupt (its sha256 does not match): download it again")


def _converted(name: str, content: bytes) -> bytes:
    if name == "config.json":
        return re.sub(rb'"mixed_b?float16"', b'"float32"', content)
    return _halved(content) if name.endswith(".h5") else content


def _halved(content: bytes) -> bytes:
    """Return an HDF5 file with multi-dimensional float32 arrays converted to float16."""
    import h5py

    halved = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as old, h5py.File(halved, "w") as new:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                large = item.ndim > 1 and item.dtype == np.float32
                new[name] = item[()].astype(np.float16) if large else item[()]
            else:
                new.require_group(name)
            new[name].attrs.update(item.attrs)

        old.visititems(copy)
    return halved.getvalue()


def _shipped(name: str, engine: str, device: DeviceChoice) -> Path:
    found = files(name)
    if engine == "auto":
        on_gpu = [each for each in found if ENGINES[each].on_gpu] if device == "gpu" else []
        usable = on_gpu or list(found)
        engine = next(filter(is_installed, usable), usable[0])
    if engine not in found:
        raise WeightsError(_absent(FOLDER / name, engine, name))
    return found[engine]


def _given(path: Path, engine: str) -> Path:
    if path.suffix not in SUFFIXES:
        raise WeightsError(
            f"no model {path}: give the path of a {', '.join(SUFFIXES)} file"
            f" or one of {', '.join(names()) or 'none'}"
        )
    if engine in ("auto", SUFFIXES[path.suffix]):
        if not path.is_file():
            raise WeightsError(f"no weights at {path}: check the path, or restore them with git")
        return path
    paths = (path.with_suffix(suffix) for suffix in ENGINES[engine].suffixes)
    if not (found := next((other for other in paths if other.is_file()), None)):
        raise WeightsError(_absent(path.with_suffix(""), engine, str(path)))
    return found


def _absent(stem: Path, engine: str, name: str) -> str:
    suffix = ENGINES[engine].suffixes[0]
    if engine == "keras":
        return f"no {stem}{suffix}, which the engine keras runs: choose another engine"
    return (
        f"no {stem}{suffix}, which the engine {engine} runs:"
        f" make it with emostream models export {name} --engine {engine}"
    )
