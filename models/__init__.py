"""The emotion classifier. `load()` returns it; importing this package loads no TensorFlow."""

from emostream.models.classifier import Classifier, load
from emostream.models.labels import LABELS

__all__ = ["LABELS", "Classifier", "load"]
