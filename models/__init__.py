"""The emotion classifier: `load()` gives it; importing this package loads no TensorFlow."""

from models.classifier import Classifier, load
from models.labels import LABELS

__all__ = ["LABELS", "Classifier", "load"]
