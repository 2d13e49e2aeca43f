"""Speed, start-up, memory and agreement of a model's engines: python -m benchmarks.engines."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.results import finish, parse
from emostream.models import ferplus, load, weights
from emostream.models.classifier import Classifier
from emostream.models.synthetic_faces import synthetic_faces
from emostream.services.cli.bench.result_file import Figure, figure
from emostream.shared.errors import EmostreamError, SourceError

WHAT = "python -m benchmarks.engines"
BATCHES = (1, 8, 32)
HEADER = (
    "| file | MB | ms per face at 1, 8, 32 | start-up, s | resident, MB"
    " | largest difference | same label | accuracy B |"
)


def measure(path: str, threads: int, repeats: int) -> dict[str, Any]:
    """Measure one file in this process: s to the first answer, MB after it, ms per face."""
    started = psutil.Process().create_time()
    model = load(path, intra_op=threads)
    faces = synthetic_faces(BATCHES[-1])
    model.predict(faces[:1])
    ready = time.time() - started
    model.warm_up()
    return {
        "start": ready,
        "memory": psutil.Process().memory_info().rss / 1e6,
        "ms": [per_face(model, faces[:size], repeats) for size in BATCHES],
    }


def per_face(model: Classifier, faces: np.ndarray, repeats: int) -> float:
    """Return the median time of a face in ms."""
    times = []
    for _ in range(repeats):
        before = time.perf_counter()
        model.predict(faces)
        times.append(time.perf_counter() - before)
    return statistics.median(times) / len(faces) * 1e3


def measure_in_processes(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure a file in separate processes and return the medians."""
    command = [sys.executable, "-m", "benchmarks.engines", "--measure", str(path)]
    command += ["--threads", str(options.threads), "--repeats", str(options.repeats)]
    runs = []
    for _ in range(options.runs):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    return {
        "start": statistics.median(run["start"] for run in runs),
        "memory": statistics.median(run["memory"] for run in runs),
        "ms": [statistics.median(run["ms"][k] for run in runs) for k in range(len(BATCHES))],
    }


def figures_of(path: Path, measured: dict[str, Any]) -> dict[str, Figure]:
    """Return a file's figures by name."""
    found = {
        f"{path.name}: start": figure([measured["start"]], "s"),
        f"{path.name}: memory": figure([measured["memory"]], "MB resident"),
    }
    for size, ms in zip(BATCHES, measured["ms"], strict=True):
        found[f"{path.name}: batches of {size}"] = figure([ms], "ms per face")
    return found


def format_row(path: Path, figures: dict[str, Any], agreement: Sequence[str]) -> str:
    """Return a file's row of the table."""
    times = ", ".join(f"{ms:.2f}" for ms in figures["ms"])
    cells = (
        path.name,
        f"{path.stat().st_size / 1e6:.1f}",
        times,
        f"{figures['start']:.2f}",
        f"{figures['memory']:.0f}",
        *agreement,
    )
    return f"| {' | '.join(cells)} |"


def measure_agreement(paths: Sequence[Path], folder: Path) -> list[list[str]]:
    """Return each file's largest difference from the Keras model, same labels, and accuracy B."""
    try:
        faces = ferplus.load_faces("PublicTest", folder)
    except SourceError as error:
        print(f"{error}: agreement is not measured", file=sys.stderr)
        return [["-"] * 3 for _ in paths]
    truth = ferplus.protocol_b(faces.votes)
    original = next(path for path in paths if path.suffix == ".keras")
    expected = load(original).predict(faces.images)
    cells = []
    for path in paths:
        given = expected if path == original else load(path).predict(faces.images)
        labels = given.argmax(axis=1)
        same = (labels == expected.argmax(axis=1)).mean()
        right = (labels == truth)[truth >= 0].mean()
        cells.append([f"{np.abs(given - expected).max():.1g}", f"{same:.2%}", f"{right:.2%}"])
    return cells


def exported_files(source: Path, folder: Path, faces: np.ndarray) -> list[Path]:
    """Return the Keras file and its exports; missing ones are created in `folder`."""
    from emostream.models.export import export, target

    paths = [source]
    for engine, precision in (("litert", "float16"), ("litert", "int8"), ("onnxruntime", None)):
        path, _ = target(source, engine, precision)
        if not path.is_file():
            path = export(source, engine, faces, precision, folder / path.name).path
        paths.append(path)
    return paths


def main() -> int:
    """Measure each engine and print a Markdown table; run it on an idle machine."""
    parser = argparse.ArgumentParser(prog=WHAT, description=__doc__)
    parser.add_argument("--model", default="alexnet-fer", help="a name or a .keras file")
    parser.add_argument("--data", type=Path, default=ferplus.FOLDER, help="faces (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of an engine (%(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="processes per file (%(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=30, help="calls per batch size (%(default)s)"
    )
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parse(parser, WHAT)
    if options.measure:
        print(json.dumps(measure(options.measure, options.threads, options.repeats)))
        return 0
    try:
        source = weights.find(options.model, "keras")
        with tempfile.TemporaryDirectory() as folder:
            paths = exported_files(source, Path(folder), synthetic_faces(100))
            print(f"{options.threads} threads, medians of {options.runs} processes", end="")
            print(f" of {options.repeats} calls; {os.cpu_count()} cores, load {os.getloadavg()[0]}")
            print(f"\n{HEADER}\n|{' --- |' * HEADER.count(' | ')} --- |")
            named: dict[str, Figure] = {}
            for path, cells in zip(paths, measure_agreement(paths, options.data), strict=True):
                figures = measure_in_processes(path, options)
                named |= figures_of(path, figures)
                print(format_row(path, figures, cells), flush=True)
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return finish(options, WHAT, named)


if __name__ == "__main__":
    sys.exit(main())
