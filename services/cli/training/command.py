"""`emostream train`: trains a classifier on the faces of FER2013 with the votes of FER+."""

import argparse
import dataclasses
import os
from pathlib import Path

from emostream.services.cli.options import not_negative, positive
from emostream.shared.errors import ExitCode

ARCHITECTURES = ("alexnet-fer", "alexnet-64", "alexnet-227", "residual")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--arch", choices=ARCHITECTURES, default=ARCHITECTURES[0])
    parser.add_argument(
        "--epochs", type=positive(int), help="number of epochs (default: the recipe's)"
    )
    parser.add_argument("--batch", type=positive(int), help="batch size")
    parser.add_argument(
        "--rate", type=positive(float), dest="peak_rate", help="highest learning rate"
    )
    parser.add_argument(
        "--optimizer", choices=("adamw", "sgd"), help="sgd uses Nesterov momentum, 0.9"
    )
    parser.add_argument(
        "--labels",
        choices=("soft", "majority"),
        help="learn the shares of the FER+ votes, or only the winner",
    )
    parser.add_argument(
        "--fer2013",
        type=not_negative,
        metavar="WEIGHT",
        help="weight of the FER2013 labels; FER+ has weight 1",
    )
    parser.add_argument(
        "--balance",
        type=not_negative,
        metavar="POWER",
        help=(
            "draw rare labels more often: 0 draws each face once, 1 all labels equally "
            "(default 0.5)"
        ),
    )
    parser.add_argument(
        "--distillation",
        type=not_negative,
        metavar="SHARE",
        help="share of the teachers in the targets, from 0 to 1 (default 0.6)",
    )
    parser.add_argument(
        "--temperature",
        type=positive(float),
        help="temperature of the teachers' answers; above 1 softens them (default 1)",
    )
    parser.add_argument(
        "--smoothing",
        type=not_negative,
        help="decay of the moving average per step; lower for a short training (default 0.999)",
    )
    parser.add_argument("--seed", type=int, help="random seed")
    parser.add_argument("--dtype", help='Keras policy, e.g. "float32"')
    _add_file_options(parser)
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    parser.add_argument(
        "--subset", type=positive(int), metavar="N", help="use only the first N faces"
    )
    parser.add_argument("--threads", type=positive(int), default=os.cpu_count() or 1)
    parser.set_defaults(run=run)


def _add_file_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for input and output."""
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="where the faces are")
    parser.add_argument(
        "--aligned",
        type=Path,
        nargs="*",
        default=(),
        metavar="FILE",
        help="the same faces as cropped by the pipeline (benchmarks.aligned_crops)",
    )
    parser.add_argument("--init", type=Path, metavar="FILE", help="start from a .keras file")
    parser.add_argument(
        "--teachers",
        type=Path,
        nargs="*",
        default=(),
        metavar="FILE",
        help="also learn from the mean of .keras files, or of stored answers (.npz)",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: runs/ARCH")


def run(options: argparse.Namespace) -> int:
    """Train by the options."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Imported here, so that other commands do not load Keras; its other backends choose their own
    # number of threads.
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        from emostream.models.tensorflow_runtime import use_threads

        use_threads(options.threads)
    from emostream.models import ferplus
    from emostream.models.train import Recipe, train

    names = [field.name for field in dataclasses.fields(Recipe) if hasattr(options, field.name)]
    given = {name: getattr(options, name) for name in names}
    recipe = Recipe(**{name: value for name, value in given.items() if value is not None})
    faces = ferplus.load_faces("Training", options.data or ferplus.FOLDER)
    learn, held_out = ferplus.split_training(ferplus.with_views(faces, options.aligned))
    out = options.out or Path("runs") / recipe.arch
    train(
        learn[: options.subset],
        held_out[: options.subset],
        recipe,
        out,
        resume=options.resume,
        init=options.init,
        teachers=options.teachers,
    )
    print(
        f"trained: {out}; `python -m emostream.models.calibrate` creates the models to serve "
        "from it"
    )
    return ExitCode.OK
