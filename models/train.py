"""Training of the emotion classifier: python -m models.train."""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from models import alexnet, checkpoint, data
from models.augment import augment, mixup
from models.backend import use_threads
from models.checkpoint import Row, State
from models.classifier import Classifier
from models.data import Bytes, Faces, Floats
from models.progress import Progress
from shared.errors import EmostreamError, ModelError


@dataclass(frozen=True)
class Recipe:
    """What decides the result of a training, beside the faces."""

    net: str = "alexnet-fer"
    epochs: int = 20
    batch: int = 128
    peak_rate: float = 2e-3
    weight_decay: float = 0.05
    dropout: float = 0.4
    mixup: float = 0.2
    smoothing: float = 0.995  # of the moving average, a step
    seed: int = 0
    dtype: str = "mixed_bfloat16"  # half the time of float32 on a CPU with AVX-512 BF16


def train(learn: Faces, held_out: Faces, recipe: Recipe, out: Path, resume: bool = False) -> State:
    """Train on `learn`, write a checkpoint an epoch to `out`, return what came of it.

    The result is `State.average`. A training that was cut off and is resumed gives what it would
    have given uncut. ModelError where there are fewer faces than a batch.
    """
    steps = len(learn) // recipe.batch
    if not steps:
        raise ModelError(f"{len(learn)} faces make no batch of {recipe.batch}: use a smaller one")
    keras.utils.set_random_seed(recipe.seed)
    state = (checkpoint.latest(out) if resume else None) or start(recipe, steps)
    classifier = Classifier(state.average, recipe.net)
    while state.epochs < recipe.epochs:
        started = time.monotonic()
        loss = run_epoch(state, learn, recipe)
        score = score_held_out(classifier, held_out)
        state.rows.append(Row(state.epochs + 1, loss, *score, time.monotonic() - started))
        checkpoint.save(state, out)
        print(state.rows[-1], flush=True)
    return state


def start(recipe: Recipe, steps: int) -> State:
    """Build the net with AdamW on one cycle: a linear rise over 15%, then half a cosine."""
    model = alexnet.build(recipe.net, recipe.dropout, recipe.dtype)
    total = recipe.epochs * steps
    rise = max(1, round(0.15 * total))
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.peak_rate / 25,
        decay_steps=max(1, total - rise),
        alpha=1e-3,
        warmup_target=recipe.peak_rate,
        warmup_steps=rise,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, clipnorm=1.0)
    model.compile(optimizer, loss="categorical_crossentropy", jit_compile=False)
    average = alexnet.build(recipe.net, recipe.dropout)
    average.set_weights(model.get_weights())
    return State(model, average, [])


def run_epoch(state: State, learn: Faces, recipe: Recipe) -> float:
    """Take one pass over the faces, return the mean loss."""
    losses: list[float] = []
    optimizer = state.model.optimizer
    progress = Progress(f"epoch {state.epochs + 1}/{recipe.epochs}", len(learn) // recipe.batch)
    seed_dropout(state, recipe)
    for faces, targets in batches(learn, recipe, state.epochs):
        losses.append(float(state.model.train_on_batch(faces, targets)))
        follow(state, recipe.smoothing, int(optimizer.iterations))
        progress.show(len(losses), f"loss {np.mean(losses[-50:]):.4f}")
    return float(np.mean(losses))


def seed_dropout(state: State, recipe: Recipe) -> None:
    """Let seed and epoch alone decide what is dropped, whether or not the training was cut off."""
    seeds = np.random.SeedSequence((recipe.seed, state.epochs))
    for number, name in enumerate(("dropout6", "dropout7")):
        generator = state.model.get_layer(name).seed_generator
        generator.state.assign(seeds.spawn(number + 1)[number].generate_state(2))


def follow(state: State, smoothing: float, step: int) -> None:
    """Move the average towards the model, faster at first: it would hold on to the random start."""
    keep = min(smoothing, (1 + step) / (10 + step))
    for kept, new in zip(state.average.weights, state.model.weights, strict=True):
        kept.assign(keep * kept + (1 - keep) * new)


def batches(learn: Faces, recipe: Recipe, epoch: int) -> Iterator[tuple[Bytes, Floats]]:
    """Give the augmented batches of one epoch; seed and epoch alone decide them."""
    rng = np.random.default_rng((recipe.seed, epoch))
    targets = data.soft_labels(learn.votes)
    order = rng.permutation(len(learn))
    for begin in range(0, len(order) - recipe.batch + 1, recipe.batch):
        chosen = order[begin : begin + recipe.batch]
        faces = augment(learn.images[chosen], rng)
        yield mixup(faces, targets[chosen], recipe.mixup, rng)


def score_held_out(classifier: Classifier, faces: Faces) -> tuple[float, float]:
    """Return the cross entropy to the soft labels and the accuracy under protocol B."""
    probabilities = classifier.predict(faces.images)
    entropy = -(data.soft_labels(faces.votes) * np.log(probabilities + 1e-7)).sum(axis=1)
    right = probabilities.argmax(axis=1) == data.protocol_b(faces.votes)
    return float(entropy.mean()), float(right.mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says, return the exit status."""
    chosen = parse(arguments)
    recipe = Recipe(
        net=chosen.net,
        epochs=chosen.epochs,
        batch=chosen.batch,
        seed=chosen.seed,
        dtype=chosen.dtype,
    )
    try:
        use_threads(chosen.threads)
        learn, held_out = data.hold_out(data.usable(data.read("Training", chosen.data)))
        train(learn[: chosen.subset], held_out[: chosen.subset], recipe, chosen.out, chosen.resume)
    except EmostreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    default = Recipe()
    parser.add_argument("--net", choices=tuple(alexnet.SIZES), default=default.net)
    parser.add_argument("--epochs", type=int, default=default.epochs)
    parser.add_argument("--batch", type=int, default=default.batch)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--dtype", default=default.dtype, help="Keras policy (%(default)s)")
    parser.add_argument("--data", type=Path, default=data.FOLDER, help="folder (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/alexnet-fer"))
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--subset", type=int, help="train on the first N faces alone")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
