"""Trains the emotion classifier, for `emostream train`."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from emostream.models import alexnet, checkpoint, ferplus, residual
from emostream.models.augment import Targets
from emostream.models.batches import batches, draw_probabilities, targets
from emostream.models.checkpoint import EpochRow, TrainingState
from emostream.models.distillation import blend_targets, teacher_targets
from emostream.models.ferplus import FerFaces
from emostream.models.labels import HEADS
from emostream.shared.errors import ModelError, WeightsError
from emostream.shared.plural import counted
from emostream.shared.progress import ProgressBar


@dataclass(frozen=True)
class Recipe:
    """The settings that determine the result of a training."""

    arch: str = "alexnet-fer"
    epochs: int = 60
    batch: int = 128
    peak_rate: float = 1e-3
    rise: float = 0.05  # warm-up, as a share of the training
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: float = 0.02
    labels: Literal["soft", "majority"] = "soft"  # for FER+: vote shares or the winner
    dropout: float = 0.2
    mixup: float = 0.0
    balance: float = 0.5  # oversampling of rare labels; see `batches.draw_probabilities`
    distillation: float = 0.6  # weight of the teachers' targets, if there are teachers
    temperature: float = 1.0  # of the teachers' answers; above 1 softens them
    fer2013: float = 0.3  # weight of the FER2013 head's loss; the FER+ head has 1
    smoothing: float = 0.999  # of the moving average, per step
    seed: int = 0
    dtype: str = "mixed_bfloat16"  # half the time of float32 on a CPU with AVX-512 BF16


def train(
    training: FerFaces,
    held_out: FerFaces,
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    init: Path | None = None,
    teachers: Sequence[Path] = (),
) -> TrainingState:
    """Train on `training`, write a checkpoint per epoch to `out`, return the final state.

    The result is `TrainingState.average`. An interrupted and resumed training gives the same result
    as an uninterrupted one. `init` is a saved network to start from instead of random weights.
    `teachers` are saved networks or stored answers; the network learns from their mean in addition
    to the labels. Raises ModelError if there are fewer faces than one batch.
    """
    if len(training) < recipe.batch:
        raise ModelError(
            f"no batch of {recipe.batch} in {counted(len(training), 'face')}: use a smaller --batch"
        )
    keras.utils.set_random_seed(recipe.seed)
    wanted = targets(training, recipe.labels)
    drawn = draw_probabilities(wanted["ferplus"], recipe.balance) if recipe.balance else None
    if teachers:
        soft = teacher_targets(teachers, training.images, recipe.temperature)
        wanted = blend_targets(wanted, soft, recipe.distillation)
    state = (checkpoint.load_latest(out) if resume else None) or initial_state(recipe, init)
    while state.epochs < recipe.epochs:
        started = time.monotonic()
        loss = run_epoch(state, training, wanted, drawn, recipe)
        score = score_held_out(state.average, held_out)
        state.rows.append(EpochRow(state.epochs + 1, loss, *score, time.monotonic() - started))
        checkpoint.save(state, out)
        print(state.rows[-1], flush=True)
    return state


def initial_state(recipe: Recipe, init: Path | None) -> TrainingState:
    """Build the network with its optimizer, and its average."""
    model = build(recipe.arch, recipe.dropout, recipe.dtype)
    if init:
        initialize_weights(model, init)
    model.compile(
        optimizer(recipe),
        loss=dict.fromkeys(HEADS, "categorical_crossentropy"),
        loss_weights={"ferplus": 1.0, "fer2013": recipe.fer2013},
        # On a CPU, XLA was slower than TensorFlow's plain graph (EXPERIMENTS.md).
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    average = build(recipe.arch, recipe.dropout)
    average.set_weights(model.get_weights())
    return TrainingState(model, average, [])


def build(arch: str, dropout: float, dtype: str = "float32") -> Any:
    """Return the untrained network of this name, with both heads."""
    if arch == residual.NAME:
        return residual.build(dropout, dtype)
    return alexnet.build(arch, dropout, dtype)


def optimizer(recipe: Recipe) -> Any:
    """Return the optimizer, with decoupled weight decay and clipped gradients."""
    shared = {"weight_decay": recipe.weight_decay, "clipnorm": 1.0}
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(recipe.peak_rate, momentum=0.9, nesterov=True, **shared)
    return keras.optimizers.AdamW(recipe.peak_rate, **shared)


def initialize_weights(model: Any, path: Path) -> None:
    """Copy the weights of a saved network for layers with the same name and shapes."""
    saved = checkpoint.load_net(path)
    known = {layer.name: layer.get_weights() for layer in saved.layers}
    taken = 0
    for layer in model.layers:
        own, other = layer.get_weights(), known.get(layer.name, [])
        if own and [w.shape for w in own] == [w.shape for w in other]:
            layer.set_weights(other)
            taken += 1
    if not taken:
        raise WeightsError(f"{path} has no layer in common with {model.name}")
    print(f"{taken} layers start from {path}")


def learning_rate(recipe: Recipe, progress: float) -> float:
    """Return the learning rate after a share `progress` of the training: warm-up, then cosine."""
    if progress < recipe.rise:
        return recipe.peak_rate * (0.04 + 0.96 * progress / recipe.rise)
    falling = (progress - recipe.rise) / (1 - recipe.rise)
    return recipe.peak_rate * max(1e-3, (1 + math.cos(math.pi * falling)) / 2)


def run_epoch(
    state: TrainingState,
    training: FerFaces,
    wanted: Targets,
    drawn: NDArray[np.float64] | None,
    recipe: Recipe,
) -> float:
    """Train on each batch once, return the mean loss."""
    losses: list[float] = []
    steps = len(training) // recipe.batch
    optimizer = state.model.optimizer
    seed_dropout(state, recipe)
    seed = (recipe.seed, state.epochs)
    with ProgressBar(f"epoch {state.epochs + 1}/{recipe.epochs}", steps, "steps") as bar:
        for faces, rows in batches(training, wanted, recipe.batch, recipe.mixup, seed, drawn):
            done = (state.epochs + len(losses) / steps) / recipe.epochs
            optimizer.learning_rate.assign(learning_rate(recipe, done))
            logs = state.model.train_on_batch(faces, rows, return_dict=True)
            losses.append(float(logs["loss"]))
            update_average(state, recipe.smoothing, int(optimizer.iterations))
            bar.update(len(losses), note=f"loss {np.mean(losses[-50:]):.4f}")
    return float(np.mean(losses))


def seed_dropout(state: TrainingState, recipe: Recipe) -> None:
    """Make dropout depend only on seed and epoch, even after an interruption."""
    seeds = np.random.SeedSequence((recipe.seed, state.epochs))
    dropouts = [layer for layer in state.model.layers if isinstance(layer, keras.layers.Dropout)]
    for number, layer in enumerate(dropouts):
        if layer.rate:  # otherwise it draws nothing
            layer.seed_generator.state.assign(seeds.spawn(number + 1)[number].generate_state(2))


def update_average(state: TrainingState, smoothing: float, step: int) -> None:
    """Move the average toward the model, faster at first, to forget the random start."""
    keep = min(smoothing, (1 + step) / (10 + step))
    for kept, new in zip(state.average.weights, state.model.weights, strict=True):
        kept.assign(keep * kept + (1 - keep) * new)


def score_held_out(net: Any, faces: FerFaces) -> tuple[float, float, float]:
    """Return cross entropy with soft labels, accuracy (B), and accuracy on FER2013's labels."""
    given = net.predict(faces.images, batch_size=256, verbose=0)
    entropy = -(ferplus.soft_labels(faces.votes) * np.log(given["ferplus"] + 1e-7)).sum(axis=1)
    right = given["ferplus"].argmax(axis=1) == ferplus.protocol_b(faces.votes)
    other = given["fer2013"].argmax(axis=1) == faces.fer2013
    return float(entropy.mean()), float(right.mean()), float(other.mean())
