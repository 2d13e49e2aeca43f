"""`emostream evaluate`: evaluates a model on labeled faces and on faces in scenes."""

import argparse
import shlex
from pathlib import Path

from emostream.services.cli.options import add_prior_options, positive, proportion
from emostream.shared.config import Classifier
from emostream.shared.errors import ExitCode, RecordingError
from emostream.shared.prior import parse_prior

FER = Path("../shared/data/fer")
STDOUT = Path("-")
MOST_TILES = 32
VIDEO_FACES = 500
BACKENDS = ("auto", "yunet", "blazeface", "haar")
# Parsed options that do not affect the figures.
NO_SETTINGS = ("run", "command", "log_level", "log_format")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--model", default="alexnet-fer", metavar="NAME|FILE")
    engines = ("auto", "keras", "litert", "onnxruntime")
    parser.add_argument("--engine", choices=engines, default="auto")
    what = "the FER sheets, an .npz file, or a folder with one folder of pictures per class"
    parser.add_argument("faces_at", nargs="?", type=Path, metavar="FOLDER|FILE", help=what)
    parser.add_argument(
        "--data",
        type=Path,
        default=FER,
        metavar="FOLDER|FILE",
        help=f"the same as the argument: {what}",
    )
    parser.add_argument(
        "--map",
        type=_class_map,
        metavar="CLASS=LABEL,...",
        help="map the data set's class names to labels, e.g. AN=anger,NE=neutral",
    )
    parser.add_argument("--split", choices=("Training", "PublicTest"), default="PublicTest")
    parser.add_argument(
        "--unseen", action="store_true", help="leave out faces that also occur in Training"
    )
    whole = positive(int)
    parser.add_argument("--side", type=whole, help="resample the faces to this size first, e.g. 64")
    parser.add_argument(
        "--faces", type=whole, metavar="N", help="use only N faces, drawn at random"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--threads", type=whole, help="of the engine")
    parser.add_argument("--robustness", action="store_true", help="also evaluate degraded faces")
    add_prior_options(parser)
    parser.add_argument(
        "--priors", action="store_true", help="also compare priors, on all faces and on clear ones"
    )
    parser.add_argument(
        "--min-quality",
        type=proportion,
        default=Classifier().min_quality,
        metavar="Q",
        help="also evaluate degraded faces and faces in scenes with at least this quality"
        " (0 to 1; default %(default)s, as in the pipeline)",
    )
    _add_scene_options(parser)
    parser.add_argument("--history", type=Path, metavar="FILE", help="write learning curves as CSV")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write JSON here; - prints it instead of tables"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="default: runs/evaluation/...")
    parser.set_defaults(run=run, command=lambda options: _command(parser, options))


def _add_scene_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("scenes")
    group.add_argument(
        "--scenes",
        action="store_true",
        help="draw the faces into photos and video and detect them there",
    )
    group.add_argument("--backend", choices=BACKENDS, default="auto")
    group.add_argument("--weights", type=Path, metavar="FILE", help="of the detector")
    group.add_argument(
        "--tiles",
        type=int,
        choices=range(MOST_TILES + 1),
        metavar="N",
        help=f"tiles searched in addition to the full frame, 0 to {MOST_TILES}",
    )
    group.add_argument("--score", type=_share, help="minimum score of a face, above 0 and up to 1")
    group.add_argument("--long-side", type=positive(int), help="frame size for yunet")
    group.add_argument(
        "--video-faces",
        type=int,
        default=VIDEO_FACES,
        metavar="N",
        help=(
            "number of faces drawn into video, which takes longer; 0 for none (default: "
            "%(default)s)"
        ),
    )


def _class_map(text: str) -> dict[str, str]:
    pairs = [pair.split("=") for pair in text.split(",")]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} does not look like AN=anger,NE=neutral")
    classes: dict[str, str] = {}
    for word, label in ((word.strip(), label.strip()) for word, label in pairs):
        if word in classes:
            raise argparse.ArgumentTypeError(f"{text!r}: {word} is listed twice")
        classes[word] = label
    return classes


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError
    return value


def _command(parser: argparse.ArgumentParser, options: argparse.Namespace) -> str:
    """Return the command line that repeats the evaluation."""
    words = ["emostream", "evaluate"]
    for name, value in vars(options).items():
        if name in NO_SETTINGS or value == parser.get_default(name):
            continue
        words.append(f"--{name.replace('_', '-')}")
        if isinstance(value, dict):
            words.append(",".join(f"{key}={word}" for key, word in value.items()))
        elif value is not True:
            words.append(str(value))
    return shlex.join(words)


def run(options: argparse.Namespace) -> int:
    """Check, print, and write the page and the JSON."""
    # Imported here, so that other commands do not load the models.
    from emostream.models import load
    from emostream.models.evaluation.report import require_packages, to_html, to_json
    from emostream.services.cli.evaluation.run import choose_dataset, measure
    from emostream.services.cli.evaluation.view import show

    require_packages()
    if options.faces_at:
        options.data, options.faces_at = options.faces_at, None
    classifier = load(
        options.model,
        engine=options.engine,
        intra_op=options.threads,
        prior=None if options.prior is None else parse_prior(options.prior),
        prior_strength=options.prior_strength,
    )
    report = measure(options, classifier, choose_dataset(options, classifier.labels))
    folder = Path("runs/evaluation") / classifier.name
    page = options.html or folder / "report.html"
    data = options.json or folder / "report.json"
    _write(page, to_html(report))
    if data == STDOUT:
        print(to_json(report))
        return ExitCode.OK
    _write(data, to_json(report))
    show(report)
    print(f"{page}\n{data}")
    return ExitCode.OK


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror}") from error
