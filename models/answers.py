"""Stores teachers' predictions on the training faces: python -m emostream.models.answers."""

import sys
from collections.abc import Sequence
from pathlib import Path

from emostream.models import ferplus
from emostream.models.answer_files import save_answers
from emostream.models.distillation import mean_answers
from emostream.models.net_program import net_parser, write_or_explain


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, return the exit status."""
    parser = net_parser(
        "emostream.models.answers",
        "Stores the predictions of networks on the Training split, for `emostream "
        "train --teachers`.",
        ".npz",
    )
    parser.add_argument("--data", type=Path, default=ferplus.FOLDER, metavar="FOLDER")
    chosen = parser.parse_args(arguments)

    def write() -> None:
        images = ferplus.load_faces("Training", chosen.data).images
        save_answers(chosen.out, images, mean_answers(chosen.nets, images))

    return write_or_explain(chosen.out, write)


if __name__ == "__main__":
    sys.exit(main())
