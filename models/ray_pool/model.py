"""A model that runs in the actors of a pool, or in this process while none can answer."""

import threading
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emostream.models.classifier import Classifier, Probabilities
from emostream.models.ray_pool.pool import ActorPool
from emostream.models.ray_pool.served import ServedModel


class PooledModel:
    """Answers as `local` does, which is the same model in this process.

    Its attributes are those of `Classifier`; `engine` is "ray". `predict` may be called on many
    threads.
    """

    def __init__(self, local: Classifier, pool: ActorPool, served: ServedModel) -> None:
        self._local, self._pool, self._number = local, pool, served.number
        self._one_at_a_time = threading.Lock()
        self.name, self.labels, self.sha256 = local.name, local.labels, local.sha256
        self.files, self.prior = local.files, local.prior
        self.engine: str = "ray"
        self.device: str = served.device
        self.runtime = f"actors with {served.engine}"

    def predict(self, faces: NDArray[np.uint8]) -> Probabilities:
        """Return the probabilities float32 (N, C) of uint8 faces (N, h, w).

        ModelError where the model fails.
        """
        answer = self._pool.predict(self._number, faces)
        if answer is not None:
            return answer
        with self._one_at_a_time:
            return self._local.predict(faces)


# What a classifier's process answers with.
LiveModel: TypeAlias = Classifier | PooledModel
