"""The classifier as a gateway: the model runs in Ray actors, or here if no actor can answer."""

import contextlib
import dataclasses
import itertools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from emostream.models import Classifier, weights
from emostream.models.engines import SUFFIXES
from emostream.models.ray_pool.cluster import cluster
from emostream.models.ray_pool.model import PooledModel
from emostream.models.ray_pool.pool import ActorPool
from emostream.models.ray_pool.ray_actors import RayActors
from emostream.models.ray_pool.scaling import Scaling
from emostream.models.ray_pool.served import ServedModel
from emostream.services.classifier.model_settings import model_choice
from emostream.shared.config import Classifier as Settings
from emostream.shared.health import Health
from emostream.shared.optional_groups import require
from emostream.shared.user_path import user_path

USER: Final = 'classifier.engine = "ray"'
# The limit for the actors to open another model while they serve one.
OPEN_WITHIN_S: Final = 60.0


class PoolMetrics:
    """The metrics of a gateway, in the given registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._actors = Gauge(
            "emostream_ray_actors",
            "Actors that hold the model, and those that start or do not answer",
            ("state",),
            registry=registry,
        )
        self._restarts = Counter(
            "emostream_ray_actor_restarts",
            "Processes of actors that were lost, which Ray replaces",
            registry=registry,
        )
        self._replaced = Counter(
            "emostream_ray_replaced_batches",
            "Batches that were given to another actor, since the first one did not answer",
            registry=registry,
        )
        self._here = Counter(
            "emostream_ray_gateway_batches",
            "Batches that the gateway classified itself, since no actor could",
            registry=registry,
        )
        self.age = Gauge(
            "emostream_ray_waiting_age_seconds",
            "For how long the oldest faces have waited for an actor",
            registry=registry,
        )

    def restarted(self) -> None:
        """Count a lost actor process."""
        self._restarts.inc()

    def replaced(self) -> None:
        """Count a batch that was given to another actor."""
        self._replaced.inc()

    def answered_here(self) -> None:
        """Count a batch that no actor could answer."""
        self._here.inc()

    def watch(self, pool: ActorPool) -> None:
        """Let the gauges show the actors of the pool."""
        self._actors.labels("warm").set_function(lambda: pool.warm)
        self._actors.labels("starting").set_function(lambda: pool.starting)


class RayGateway:
    """Opens models in a pool of actors, and maintains the pool."""

    def __init__(
        self,
        settings: Settings,
        open_local: Callable[[Settings], Classifier],
        actors: RayActors,
        registry: CollectorRegistry,
        health: Health,
    ) -> None:
        self._settings, self._open, self._health = settings, open_local, health
        self._metrics = PoolMetrics(registry)
        scaling = Scaling(
            settings.ray_min_actors,
            settings.ray_max_actors,
            settings.ray_scale_up_ms / 1000,
            settings.ray_scale_down_after,
        )
        self.pool = ActorPool(actors.start, scaling, self._metrics, settings.ray_in_flight)
        self._metrics.watch(self.pool)
        self._numbers = itertools.count(1)

    @property
    def most_batches(self) -> int:
        """The largest possible number of batches in flight."""
        return self._settings.ray_max_actors * self._settings.ray_in_flight

    def open_model(self) -> PooledModel:
        """Return the configured model; this process opens it too.

        The first model is ready at once: it runs here until an actor has it. Raises WeightsError if
        it is unusable, ConfigError like `load`.
        """
        local, served = self._local_model()
        self.pool.serve(served, 0.0 if served.number == 1 else OPEN_WITHIN_S)
        self.places(0.0)
        return PooledModel(local, self.pool, served)

    def places(self, age: float) -> int:
        """Maintain the pool; return how many batches may be in flight.

        `age` is how long the oldest faces have waited (s).
        """
        self.pool.tend(age)
        self._metrics.age.set(age)
        if self.pool.warm:
            self._health.clear_missing("ray")
        else:
            reason = "no Ray actor has the model yet; this process classifies by itself"
            self._health.set_missing("ray", reason)
        return self.pool.places

    def _local_model(self) -> tuple[Classifier, ServedModel]:
        """Return the model of this process, and its description for the actors."""
        settings = self._settings
        path = weights.find(settings.model, settings.model_engine, settings.device)
        engine = SUFFIXES[path.suffix]
        # A GPU is for the actors.
        local = self._open(msgspec.structs.replace(settings, engine=engine, device="cpu"))
        given = Path(settings.model)
        choice = dataclasses.replace(
            model_choice(settings),
            # Actors work in folders of their own.
            model=str(user_path(str(given)).absolute()) if given.suffix else settings.model,
            engine=engine,
            device=settings.device if settings.ray_gpus else "cpu",
        )
        return local, ServedModel(next(self._numbers), choice, local.sha256)


def check_ray(settings: Settings) -> None:
    """Raise MissingPackageError if the configuration wants Ray, and it is not installed."""
    if settings.engine == "ray":
        require(USER, "ray", "ray")


@contextlib.contextmanager
def ray_gateway(
    settings: Settings,
    open_local: Callable[[Settings], Classifier],
    registry: CollectorRegistry,
    health: Health,
) -> Iterator[RayGateway]:
    """Provide a gateway on the configured cluster, or on a local one that ends with the block.

    `open_local` opens a model in this process. Raises MissingPackageError without Ray, WeightsError
    if the model does not exist, BusError if there is no cluster.
    """
    check_ray(settings)
    # Ray takes seconds to start: a wrong model is refused before.
    weights.find(settings.model, settings.model_engine, settings.device)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with cluster(USER, settings.ray_address or None):
        # Ray would end this process at once; what was begun must be answered first.
        for number, handler in handlers.items():
            signal.signal(number, handler)
        actors = RayActors(settings.ray_cpus, settings.ray_gpus)
        gateway = RayGateway(settings, open_local, actors, registry, health)
        try:
            yield gateway
        finally:
            gateway.pool.close()
