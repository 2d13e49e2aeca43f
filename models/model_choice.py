"""Which model to open, and how to run it."""

from dataclasses import dataclass

from emostream.models.classifier import Classifier, load
from emostream.models.engines.device import DeviceChoice
from emostream.shared.prior import Prior


@dataclass(frozen=True)
class ModelChoice:
    """A model to open in one or more processes.

    `max_batch` is described in `Classifier`; the other fields are those of `load`, with `threads`
    as its `intra_op`.
    """

    model: str
    engine: str = "auto"
    device: DeviceChoice = "auto"
    threads: int = 1
    prior: Prior | None = None
    prior_strength: float | None = None
    max_batch: int = 32

    def open(self) -> Classifier:
        """Return the model, ready to answer; raises the errors of `load`."""
        model = load(
            self.model,
            engine=self.engine,
            intra_op=self.threads,
            prior=self.prior,
            prior_strength=self.prior_strength,
            device=self.device,
        )
        model.max_batch = self.max_batch
        model.warm_up()
        return model
