"""Creates a separate folder for each set of results."""

from pathlib import Path

from emostream.shared.errors import RecordingError


def fresh_folder(parent: Path, name: str) -> Path:
    """Create a folder `name`, or `name-2`, `-3` and so on if that exists, and return it.

    Raises RecordingError if it cannot be created.
    """
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError as error:
            if not parent.is_dir():
                raise _unmade(folder, error) from error
            number += 1
        except OSError as error:
            raise _unmade(folder, error) from error
        else:
            return folder


def _unmade(folder: Path, error: OSError) -> RecordingError:
    return RecordingError(f"cannot create {folder}: {error.strerror}; choose another location")
