"""Stores teachers' predictions on the training faces: python -m emostream.models.answers."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from emostream.models import ferplus
from emostream.models.answer_files import save_answers
from emostream.models.distillation import mean_answers
from emostream.shared.errors import EmostreamError, ExitCode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m emostream.models.answers",
        description=(
            "Stores the predictions of networks on the Training split, for `emostream "
            "train --teachers`."
        ),
    )
    parser.add_argument("nets", type=Path, nargs="+", metavar="FILE", help="a .keras file")
    parser.add_argument("--data", type=Path, default=ferplus.FOLDER, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="a .npz file")
    chosen = parser.parse_args(arguments)
    try:
        images = ferplus.load_faces("Training", chosen.data).images
        save_answers(chosen.out, images, mean_answers(chosen.nets, images))
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {chosen.out} cannot be written: {error}", file=sys.stderr)
        return ExitCode.FAILURE
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
