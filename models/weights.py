"""The saved models: where they lie, and the sha256 that each must have."""

import hashlib
from pathlib import Path
from typing import Final

from shared.errors import WeightsError

FOLDER: Final = Path(__file__).parent / "weights"


def find(name_or_path: str | Path) -> Path:
    """Return the verified file of a shipped model, by name, or of any other, by path.

    WeightsError where it is missing, or differs from the .sha256 file (the format of sha256sum)
    beside it. A shipped model must have one.
    """
    shipped = FOLDER / f"{name_or_path}.keras"
    path = shipped if shipped.exists() else Path(name_or_path)
    if path.suffix != ".keras":
        names = ", ".join(sorted(file.stem for file in FOLDER.glob("*.keras"))) or "none"
        raise WeightsError(
            f"no model {name_or_path}: give the path of a .keras file or one of {names}"
        )
    if not path.is_file():
        raise WeightsError(f"no weights at {path}: check the path, or get them with git")
    if path.parent == FOLDER or checksum_file(path).exists():
        _verify(path)
    return path


def sha256(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum_file(path: Path) -> Path:
    """Return where the sha256 of a model is written."""
    return path.with_suffix(".sha256")


def write_checksum(path: Path) -> str:
    """Write the .sha256 file of a model, return the digest."""
    digest = sha256(path)
    checksum_file(path).write_text(f"{digest}  {path.name}\n", encoding="utf-8")
    return digest


def _verify(path: Path) -> None:
    expected = checksum_file(path)
    if not expected.exists():
        raise WeightsError(f"no {expected.name} beside {path}: get it again with git")
    if expected.read_text(encoding="utf-8").split()[:1] != [sha256(path)]:
        raise WeightsError(f"{path} is corrupt (its sha256 is not the expected one): get it again")
