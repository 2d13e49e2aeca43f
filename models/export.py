"""Exports a Keras model to LiteRT and ONNX, and compares each export with the original."""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from emostream.models import engines, weights
from emostream.models.classifier import Classifier
from emostream.models.engines import keras as keras_engine
from emostream.models.float16 import to_float16
from emostream.models.spec import ModelSpec, load_spec, spec_for, spec_path
from emostream.models.spec_shares import write_shares
from emostream.shared.errors import ModelError
from emostream.shared.optional_groups import require
from emostream.shared.pixels import Image
from emostream.shared.plural import counted

# By engine, default first, each with its file name suffix.
PRECISIONS: Final = {
    "litert": {"float16": "", "int8": "-int8", "float32": "-float32"},
    "onnxruntime": {"float32": ""},
}
MAX_DIFFERENCE: Final = 1e-3  # maximum difference in a probability, for all exports except int8
OPSET: Final = 18

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """A written file and its agreement with the Keras model on the compared faces.

    `difference` is the largest difference in any probability, `same` the share of faces with the
    same label.
    """

    path: Path
    difference: float
    same: float


def target(source: Path, engine: str, precision: str | None = None) -> tuple[Path, str]:
    """Return the default path of an export, and its precision; ModelError if unsupported.

    With the engine's default precision, the export is next to the model, with the same name.
    """
    if engine not in PRECISIONS:
        raise ModelError(f"no export for {engine!r}: choose {' or '.join(PRECISIONS)}")
    known = PRECISIONS[engine]
    chosen = precision or next(iter(known))
    if chosen not in known:
        raise ModelError(f"no {chosen} for {engine}: choose {' or '.join(known)}")
    suffix = engines.ENGINES[engine].suffixes[0]
    return source.with_name(f"{source.stem}{known[chosen]}{suffix}"), chosen


def export(
    source: Path,
    engine: str,
    faces: Image,
    precision: str | None = None,
    out: Path | None = None,
    on_step: OnStep = lambda line: None,
) -> Exported:
    """Write a Keras model for another engine, with TOML and sha256, and return its agreement.

    `faces` are uint8 (N, H, W); `on_step` is called with one line per step. Raises ModelError, and
    keeps no file, if the conversion fails, or if a probability differs by more than MAX_DIFFERENCE
    from the Keras model (int8 is exempt, because it cannot meet this).
    """
    usual, precision = target(source, engine, precision)
    out = out or usual
    if out.suffix != usual.suffix:
        raise ModelError(f"{out}: a file for {engine} ends in {usual.suffix}")
    model = keras_engine.load_keras_model(source)
    original = keras_engine.KerasEngine(model)
    spec = spec_for(source, original)
    try:
        with tempfile.TemporaryDirectory(dir=out.parent) as folder:
            part = Path(folder) / out.name
            on_step(f"converting {source.name} to {engine}, {precision}")
            _convert(model, engine, precision, part)
            on_step(f"comparing {out.name} with {source.name} on {counted(len(faces), 'face')}")
            exported = compare(Classifier(original, source.stem, spec), part, spec, faces)
            if precision != "int8" and not exported.difference <= MAX_DIFFERENCE:
                raise ModelError(
                    f"{out.name} differs from {source.name} by {exported.difference:.4f}"
                    f" (at most {MAX_DIFFERENCE} is allowed), so it was deleted"
                )
            write_spec(source, out)
            weights.write_checksum(out, part)
            part.replace(out)
    except OSError as error:
        raise ModelError(f"{out} cannot be written: {error.strerror or error}") from error
    return Exported(out, exported.difference, exported.same)


def write_spec(source: Path, out: Path) -> None:
    """Copy the TOML of a model for its export; an existing one only gets the label shares."""
    if not spec_path(out).exists():
        shutil.copyfile(spec_path(source), spec_path(out))
        return
    new, old = load_spec(spec_path(source)), load_spec(spec_path(out))
    if new.trained and (new.trained, new.natural) != (old.trained, old.natural):
        write_shares(spec_path(out), new.trained, new.natural or new.trained)


def compare(original: Classifier, path: Path, spec: ModelSpec, faces: Image) -> Exported:
    """Return how well the model in a file agrees with its original."""
    expected = original.predict(faces)
    given = Classifier(engines.load_engine(path, None, 1), path.stem, spec).predict(faces)
    same = (expected.argmax(axis=1) == given.argmax(axis=1)).mean()
    return Exported(path, float(np.abs(expected - given).max()), float(same))


def _convert(model: Any, engine: str, precision: str, part: Path) -> None:
    policies = {layer.compute_dtype for layer in model.layers} & {"float16", "bfloat16"}
    if policies:
        raise ModelError(f"the model computes in {', '.join(policies)}: save it in float32 first")
    try:
        if engine == "onnxruntime":
            _to_onnx(model, part)
        else:
            part.write_bytes(_to_litert(model, precision))
    except (ValueError, TypeError, RuntimeError, KeyError, NotImplementedError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise ModelError(f"the model cannot be converted for {engine}: {reason}") from error


def _to_litert(model: Any, precision: str) -> bytes:
    """Convert to TFLite; int8 applies only to the weights, which is more exact and as fast here.

    With int8 activations too, 3% of the labels changed instead of 0.2%.
    """
    from tensorflow import lite
    from tensorflow.lite.python.convert_phase import ConverterError

    converter = lite.TFLiteConverter.from_keras_model(model)
    if precision == "int8":
        converter.optimizations = [lite.Optimize.DEFAULT]
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # otherwise it lists every weight
            content: bytes = converter.convert()
    except ConverterError as error:
        raise ValueError(str(error)) from error
    return to_float16(content) if precision == "float16" else content


def _to_onnx(model: Any, part: Path) -> None:
    require("the export to ONNX", "export", "tf2onnx", "onnx")
    import tensorflow
    import tf2onnx

    given = model.inputs[0]
    faces = tensorflow.TensorSpec(given.shape, given.dtype, name="faces")
    graph = tensorflow.function(lambda x: model(x, training=False))
    tf2onnx.convert.from_function(graph, [faces], opset=OPSET, output_path=str(part))
