"""Reads NumPy array files from users."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file by name; OSError or ValueError for other files."""
    # numpy does not close a broken file that it opened itself.
    with path.open("rb") as file:
        try:
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, NpzFile):
                return dict(arrays)
        except (EOFError, zipfile.BadZipFile) as error:
            raise ValueError(str(error)) from error
    raise ValueError("it contains a single array")
