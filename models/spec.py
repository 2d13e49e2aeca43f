"""A model's specification: the TOML next to its file, which describes input and output."""

import contextlib
import shlex
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from emostream.models.engines import Engine, Shape
from emostream.models.labels import LABELS
from emostream.shared.errors import ConfigError, WeightsError
from emostream.shared.fields import Positive
from emostream.shared.plural import counted
from emostream.shared.prior import TOLERANCE, Prior, Share, shares_fault
from emostream.shared.toml_file import parse_toml, read_text

Label = Annotated[str, Meta(pattern=r"^\S(.*\S)?$")]
Pixels = Annotated[int, Meta(ge=1, le=4096)]
Scaling = Literal["model", "0..1", "-1..1", "standardise", "mean-std"]
SCALINGS: Final[tuple[str, ...]] = get_args(Scaling)


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The input and output of a model; docs/models.md explains each key."""

    labels: Annotated[tuple[Label, ...], Meta(min_length=2)]
    scaling: Scaling
    size: tuple[Pixels, Pixels] | None = None
    channels: Literal[1, 3] = 1
    colour: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nhw", "nhwc", "nchw"] = "nhwc"
    mean: tuple[float, ...] = ()
    std: tuple[Positive, ...] = ()
    output: Literal["probabilities", "logits"] = "probabilities"
    card: str = ""
    prior: Prior | None = None
    prior_strength: Share = 1.0
    trained: dict[str, Positive] = {}
    natural: dict[str, Positive] = {}

    def __post_init__(self) -> None:
        """Check the keys against each other; msgspec turns ValueError into its own error."""
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: one is listed twice")
        if self.layout == "nhw" and self.channels != 1:
            raise ValueError('layout: "nhw" does not fit 3 channels')
        wanted = self.channels if self.scaling == "mean-std" else 0
        if not len(self.mean) == len(self.std) == wanted:
            raise ValueError(
                f'mean and std: write {wanted} numbers each for scaling = "{self.scaling}"'
            )
        self._check_shares("trained", self.trained)
        self._check_shares("natural", self.natural)
        if not self.trained and (self.natural or self.prior is not None):
            raise ValueError(
                "trained: write the labels' shares in training, or no natural or prior"
            )
        if isinstance(self.prior, dict) and (fault := shares_fault(self.prior)):
            raise ValueError(f"prior: {fault}")

    def _check_shares(self, key: str, shares: dict[str, float]) -> None:
        """Check that a table, if present, has a share for each label with sum 1."""
        if not shares:
            return
        if set(shares) != set(self.labels):
            odd = ", ".join(sorted(set(shares) ^ set(self.labels)))
            raise ValueError(f"{key}: write one share for each label and no others ({odd})")
        if not abs((total := sum(shares.values())) - 1) <= TOLERANCE:
            raise ValueError(f"{key}: the shares sum to {total:g}, not to 1")

    @property
    def shape(self) -> Shape:
        """The described input shape, with None for any number."""
        height, width = self.size or (None, None)
        if self.layout == "nhw":
            return (None, height, width)
        if self.layout == "nhwc":
            return (None, height, width, self.channels)
        return (None, self.channels, height, width)


# msgspec 0.22 crashes if two threads are the first to convert to the same type.
with contextlib.suppress(msgspec.ValidationError):
    msgspec.convert({}, ModelSpec)

# For the networks in models/alexnet.py: faces of any size, preprocessed by the model itself.
ALEXNET: Final = ModelSpec(labels=LABELS, scaling="model", layout="nhw")


def spec_path(path: Path) -> Path:
    """Return the path of a model's TOML."""
    return path.with_suffix(".toml")


def load_spec(path: Path) -> ModelSpec:
    """Return the specification in a TOML file; WeightsError, with file and key, if invalid."""
    try:
        return msgspec.convert(parse_toml(read_text(path), path), ModelSpec)
    except ConfigError as error:
        raise WeightsError(str(error)) from error
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        key = where.strip(".`")
        if "regex" in message:
            message = "write a label without spaces around it, for example anger"
        choices = f": write one of {', '.join(SCALINGS)}" if key == "scaling" else ""
        raise WeightsError(f"{path}: {f'{key}: ' if key else ''}{message}{choices}") from error


def card_of(path: Path) -> Path | None:
    """Return the model card named in the TOML of a model's file, if it exists."""
    with contextlib.suppress(WeightsError):  # without its TOML a model has no card
        card = path.parent / load_spec(spec_path(path)).card
        return card.resolve() if card.is_file() else None
    return None


def spec_for(path: Path, engine: Engine) -> ModelSpec:
    """Return the specification next to a model; WeightsError, with advice, if there is none.

    An empty TOML counts as missing: a shell leaves one if the command that should fill it failed.
    """
    file = spec_path(path)
    if file.is_file() and file.stat().st_size:
        return load_spec(file)
    outputs = "" if engine.outputs is None else f" and gives {counted(engine.outputs, 'output')}"
    raise WeightsError(
        f"no {file.name} next to {path}, which takes {format_shape(engine.shape)}{outputs}:"
        f" write one with {template_command(path)} and fill it in"
    )


def template_command(path: Path) -> str:
    """Return the command line that writes a TOML template for a model."""
    file, toml = (shlex.quote(str(each)) for each in (path, spec_path(path)))
    return f"emostream models info {file} --template > {toml}"


def check_engine(spec: ModelSpec, engine: Engine, path: Path) -> None:
    """Compare the TOML with the model; WeightsError if they differ."""
    if engine.outputs not in (None, len(spec.labels)):
        raise WeightsError(
            f"{path} has {counted(engine.outputs, 'output')}, its TOML"
            f" {counted(len(spec.labels), 'label')}:"
            f" name {engine.outputs} in {spec_path(path).name}, in the order of the outputs"
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


def are_probabilities(rows: NDArray[np.float32]) -> bool:
    """Return whether each row (N, outputs) has probabilities: none negative, with sum 1."""
    sums = rows.sum(axis=1)
    return bool(
        np.isfinite(rows).all() and (rows >= -0.01).all() and (np.abs(sums - 1) <= 0.02).all()
    )


def format_shape(shape: Shape) -> str:
    """Return a shape as text, without the number of faces and with "any" for any number."""
    return " x ".join("any" if number is None else str(number) for number in shape[1:])
