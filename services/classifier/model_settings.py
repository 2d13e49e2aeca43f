"""The model that the configuration chooses."""

from emostream.models.model_choice import ModelChoice
from emostream.shared.config import Classifier as Settings


def model_choice(settings: Settings) -> ModelChoice:
    """Return the configured model, and how to run it."""
    return ModelChoice(
        settings.model,
        engine=settings.model_engine,
        device=settings.device,
        threads=settings.threads,
        prior=settings.prior,
        prior_strength=settings.prior_strength,
        max_batch=settings.max_batch,
    )
