"""A model that runs in the actors of a pool, or in this process if no actor can answer."""

import threading
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.models.classifier import Classifier, Probabilities
from emostream.models.ray_pool.pool import ActorPool
from emostream.models.ray_pool.served import ServedModel


class PooledModel:
    """Gives the same answers as `local`, the same model in this process.

    It has the attributes of `Classifier`, with "ray" as `engine`. `predict` is thread-safe.
    """

    def __init__(self, local: Classifier, pool: ActorPool, served: ServedModel) -> None:
        self._local, self._pool, self._number = local, pool, served.number
        self._one_at_a_time = threading.Lock()
        self.name, self.labels, self.sha256 = local.name, local.labels, local.sha256
        self.files, self.prior = local.files, local.prior
        self.engine: str = "ray"
        self.device: str = served.choice.device
        self.runtime = f"actors with {served.choice.engine}"

    def predict(self, faces: NDArray[np.uint8]) -> Probabilities:
        """Return the probabilities float32 (N, C) of uint8 faces (N, h, w).

        Raises ModelError if the model fails.
        """
        answer = self._pool.predict(self._number, faces)
        if answer is not None:
            return answer
        with self._one_at_a_time:
            return self._local.predict(faces)


# The models that a classifier process can use.
LiveModel: TypeAlias = Classifier | PooledModel
