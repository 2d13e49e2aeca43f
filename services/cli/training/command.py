"""`emostream train`: trains a classifier on the faces of FER2013 with the votes of FER+."""

import argparse
import dataclasses
import os
from pathlib import Path

from emostream.services.cli.options import not_negative, positive
from emostream.shared.errors import ExitCode

ARCHITECTURES = ("alexnet-fer", "alexnet-64", "alexnet-227")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--arch", choices=ARCHITECTURES, default=ARCHITECTURES[0])
    parser.add_argument(
        "--epochs", type=positive(int), help="passes over the faces (default: the recipe's)"
    )
    parser.add_argument("--batch", type=positive(int), help="faces in a step")
    parser.add_argument(
        "--rate", type=positive(float), dest="peak_rate", help="highest learning rate"
    )
    parser.add_argument("--optimizer", choices=("adamw", "sgd"), help="sgd is Nesterov's, at 0.9")
    parser.add_argument(
        "--labels",
        choices=("soft", "majority"),
        help="learn FER+'s shares of the votes, or the winner alone",
    )
    parser.add_argument(
        "--fer2013",
        type=not_negative,
        metavar="WEIGHT",
        help="of FER2013's labels; FER+ has weight 1",
    )
    parser.add_argument(
        "--balance",
        type=not_negative,
        metavar="POWER",
        help="draw rare labels more often: 0 each face once, 1 all labels alike (default 0.5)",
    )
    parser.add_argument(
        "--distillation",
        type=not_negative,
        metavar="SHARE",
        help="of the teachers in what is learned, from 0 to 1 (default 0.6)",
    )
    parser.add_argument(
        "--smoothing",
        type=not_negative,
        help="of the moving average, a step; less for a short training (default 0.999)",
    )
    parser.add_argument("--seed", type=int, help="decides all that is drawn at random")
    parser.add_argument("--dtype", help='Keras policy, e.g. "float32"')
    _add_file_options(parser)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument(
        "--subset", type=positive(int), metavar="N", help="use the first N faces alone"
    )
    parser.add_argument("--threads", type=positive(int), default=os.cpu_count() or 1)
    parser.set_defaults(run=run)


def _add_file_options(parser: argparse.ArgumentParser) -> None:
    """Add what is read and written."""
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="where the faces are")
    parser.add_argument(
        "--aligned",
        type=Path,
        nargs="*",
        default=(),
        metavar="FILE",
        help="the same faces as the pipeline cuts them out (benchmarks.aligned_crops)",
    )
    parser.add_argument("--init", type=Path, metavar="FILE", help="start from a .keras file")
    parser.add_argument(
        "--teachers",
        type=Path,
        nargs="*",
        default=(),
        metavar="FILE",
        help="learn from the mean of these .keras files too (distillation)",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: runs/ARCH")


def run(options: argparse.Namespace) -> int:
    """Train as the options say."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Imported here, so that no other command pays for Keras; on its other backends the net trains
    # with the threads that these choose.
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
    print(f"trained: {out}; `python -m emostream.models.calibrate` makes models to serve from it")
    return ExitCode.OK
