"""A model's specification: the TOML beside its file, which says what goes in and comes out."""

import contextlib
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from emostream.models.engines import Engine, Shape
from emostream.models.labels import LABELS
from emostream.shared.errors import ConfigError, WeightsError
from emostream.shared.fields import Positive
from emostream.shared.shipped_files import CONFIGS
from emostream.shared.toml_file import parse_toml, read_text

Label = Annotated[str, Meta(pattern=r"^\S(.*\S)?$")]
Pixels = Annotated[int, Meta(ge=1, le=4096)]
ORIGINAL_SPEC: Final = CONFIGS / "models" / "original.toml"


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model takes and gives; docs/models.md explains each key."""

    labels: Annotated[tuple[Label, ...], Meta(min_length=2)]
    scaling: Literal["model", "0..1", "-1..1", "standardise", "mean-std"]
    size: tuple[Pixels, Pixels] | None = None
    channels: Literal[1, 3] = 1
    colour: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nhw", "nhwc", "nchw"] = "nhwc"
    mean: tuple[float, ...] = ()
    std: tuple[Positive, ...] = ()
    output: Literal["probabilities", "logits"] = "probabilities"
    card: str = ""

    def __post_init__(self) -> None:
        """Check the keys against each other; msgspec turns ValueError into its own error."""
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: one is there twice")
        if self.layout == "nhw" and self.channels != 1:
            raise ValueError('layout: "nhw" has no place for 3 channels')
        wanted = self.channels if self.scaling == "mean-std" else 0
        if not len(self.mean) == len(self.std) == wanted:
            raise ValueError(
                f'mean and std: write {wanted} numbers each for scaling = "{self.scaling}"'
            )

    @property
    def shape(self) -> Shape:
        """The shape of the input that it describes, None where any number goes."""
        height, width = self.size or (None, None)
        if self.layout == "nhw":
            return (None, height, width)
        if self.layout == "nhwc":
            return (None, height, width, self.channels)
        return (None, self.channels, height, width)


# msgspec 0.22 crashes where two threads are the first to convert to the same type.
with contextlib.suppress(msgspec.ValidationError):
    msgspec.convert({}, ModelSpec)

# What the nets of models/alexnet.py take: faces of any size, prepared by the model itself.
ALEXNET: Final = ModelSpec(labels=LABELS, scaling="model", layout="nhw")


def spec_path(path: Path) -> Path:
    """Return the path of a model's TOML."""
    return path.with_suffix(".toml")


def load_spec(path: Path) -> ModelSpec:
    """Return what a TOML file says; WeightsError, which names file and key, where it is wrong."""
    try:
        return msgspec.convert(parse_toml(read_text(path), path), ModelSpec)
    except ConfigError as error:
        raise WeightsError(str(error)) from error
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        key = where.strip(".`")
        raise WeightsError(f"{path}: {f'{key}: ' if key else ''}{message}") from error


def spec_for(path: Path, engine: Engine) -> ModelSpec:
    """Return what the TOML beside a model says; WeightsError, with what to write, without one."""
    if not spec_path(path).is_file():
        raise missing_spec(path, engine)
    return load_spec(spec_path(path))


def check_engine(spec: ModelSpec, engine: Engine, path: Path) -> None:
    """Compare what the TOML says with the model; WeightsError where they differ."""
    if engine.outputs not in (None, len(spec.labels)):
        raise WeightsError(
            f"{path} has {engine.outputs} outputs, its TOML {len(spec.labels)} labels"
        )
    same = len(engine.shape) == len(spec.shape) and all(
        expected == actual or actual is None or (expected is None and axis == 0)
        for axis, (expected, actual) in enumerate(zip(spec.shape, engine.shape, strict=True))
    )
    if not same:
        raise WeightsError(
            f"{path} takes {format_shape(engine.shape)}, its TOML says {format_shape(spec.shape)}:"
            " fix its size, channels or layout"
        )


def missing_spec(path: Path, engine: Engine) -> WeightsError:
    """Return the error for a model without a TOML, with what to write for this model."""
    expected, outputs = spec_path(path), engine.outputs or "N"
    if engine.shape[1:] == (48, 48, 1) and outputs == 7:
        return WeightsError(
            f"no {expected.name} beside {path}: for the original repository's model,"
            f" cp {ORIGINAL_SPEC} {expected}"
        )
    keys = ", ".join(f"{key} = {value}" for key, value in guess_keys(engine.shape).items())
    return WeightsError(
        f"no {expected.name} beside {path}: write one, a key a line, like"
        f' labels = ["angry", ...] ({outputs} of them), scaling = "0..1", {keys}'
        " (docs/models.md explains the keys)"
    )


def guess_keys(shape: Shape) -> dict[str, Any]:
    """Return the keys, written as in TOML, that follow from the shape of a model's input."""
    layout = "nhw" if len(shape) == 3 else "nchw" if shape[1] in (1, 3) else "nhwc"
    channels = {"nhw": 1, "nhwc": shape[-1], "nchw": shape[1]}[layout]
    size = shape[2:] if layout == "nchw" else shape[1:3]
    keys: dict[str, Any] = {"channels": channels or 1, "layout": f'"{layout}"'}
    return keys if None in size else {"size": list(size), **keys}


def format_shape(shape: Shape) -> str:
    """Return a shape as text, "any" where any number goes, without the number of faces."""
    return " x ".join("any" if number is None else str(number) for number in shape[1:])
