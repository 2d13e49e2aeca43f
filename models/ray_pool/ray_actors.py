"""Runs the actors of the pool in Ray."""

from concurrent.futures import Future
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from emostream.models.classifier import Probabilities
from emostream.models.ray_pool.member import ActorLostError
from emostream.models.ray_pool.served import ModelActor, Opened, ServedModel
from emostream.shared.errors import EmostreamError, ModelError

# Ray sends smaller arrays along with the call; larger ones go through its object store, which
# takes milliseconds more.
PART_BYTES: Final = 90_000
# A model is opened on its own thread, so that the previous one still answers.
OPENING: Final = "opening"
T = TypeVar("T")


class RayActors:
    """Starts actors with `cpus` CPUs and `gpus` GPUs each; requires a connected cluster.

    `code` is `ModelActor`, or a class with its methods.
    """

    def __init__(self, cpus: float, gpus: float, code: type[ModelActor] = ModelActor) -> None:
        import ray

        class Remote(code):  # type: ignore[misc, valid-type]
            @ray.method(concurrency_group=OPENING)
            def open(self, served: ServedModel) -> Opened:
                return super().open(served)  # type: ignore[no-any-return]

        # What `ps` shows of it.
        Remote.__name__ = Remote.__qualname__ = code.__name__
        # Ray's types know no groups.
        made = ray.remote(concurrency_groups={OPENING: 1})(Remote)  # type: ignore[call-overload]
        self._class = made.options(
            num_cpus=cpus,
            num_gpus=gpus,
            max_restarts=-1,
            max_task_retries=0,
            # Ray would keep a record of each call here, with its faces: up to 1 GB of memory.
            enable_task_events=False,
        )

    def start(self) -> "RayActor":
        """Return a new actor, which Ray starts as soon as resources are free."""
        return RayActor(self._class.remote())


class RayActor:
    """An actor of Ray; see `member.Actor`."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def open(self, served: ServedModel) -> "Future[Opened]":
        """Open the model, unless it is open."""
        return _future(self._handle.open.remote(served))

    def predict(self, number: int, faces: NDArray[np.uint8]) -> "Future[Probabilities]":
        """Return the probabilities float32 (N, C) of uint8 faces (N, h, w)."""
        parts = -(-faces.nbytes // PART_BYTES)
        return _future(self._handle.predict.remote(number, *np.array_split(faces, parts)))

    def restart(self) -> None:
        """Kill its process; Ray starts another one."""
        import ray

        ray.kill(self._handle, no_restart=False)

    def end(self) -> None:
        """Kill its process for good."""
        import ray

        ray.kill(self._handle)


def _future(reference: Any) -> "Future[Any]":
    """Return the future of a call, with its errors as EmostreamError."""
    future: Future[Any] = Future()

    def finish(call: "Future[Any]") -> None:
        if error := call.exception():
            future.set_exception(_translated(error))
        else:
            future.set_result(call.result())

    reference.future().add_done_callback(finish)
    return future


def _translated(error: BaseException) -> EmostreamError:
    from ray.exceptions import RayTaskError

    if not isinstance(error, RayTaskError):
        return ActorLostError(str(error).strip().partition("\n")[0])
    if isinstance(error.cause, EmostreamError):
        return error.cause
    return ModelError(f"a Ray actor failed: {type(error.cause).__name__}: {error.cause}")
