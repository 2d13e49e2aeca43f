"""Checks that involve several keys, for configurations that could not start."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import msgspec

from emostream.shared.addresses import LAST_PORT, TCP, is_local
from emostream.shared.config.invalid_key import InvalidKey, dotted
from emostream.shared.config.schema import Config, Source
from emostream.shared.errors import ConfigError
from emostream.shared.prior import shares_fault
from emostream.shared.source_urls import (
    NETWORK_SCHEMES,
    check_variables,
    has_variables,
    redact,
    with_password,
)
from emostream.shared.toml_positions import KeyPath

# The keys of a stage for addresses that it binds.
BOUND: Final = ("bind", "metrics", "page")
# The maximum length of a Unix socket address, without the final zero byte.
LONGEST_IPC_PATH: Final = 107
# The system chooses these when they are bound.
FREE_PORTS: Final = ("0", "*")
ANY_HOST: Final = ("*", "0.0.0.0", "::")
HOST: Final = re.compile(r"\*|\[[0-9A-Fa-f:.%\w]+\]|[\w.-]+|[0-9A-Fa-f:]+")


def check(config: Config) -> None:
    """Raise InvalidKey for the first problem that would prevent a start."""
    _check_sources(config.capture.sources)
    _check_bounds(config)
    _check_addresses(config)
    if config.delivery == "lossless":
        _check_lossless(config)
    _check_shards(config)
    if config.display.create_token and not config.display.token_file:
        raise InvalidKey(("display", "create_token"), "name its file in display.token_file")
    if bool(config.display.tls_cert) != bool(config.display.tls_key):
        lacking = "tls_key" if config.display.tls_cert else "tls_cert"
        raise InvalidKey(("display", lacking), "a certificate needs its key: name both")
    _check_relay(config)
    if config.classifier.engine == "ray":
        _check_ray(config)
    prior = config.classifier.prior
    if isinstance(prior, dict) and (fault := shares_fault(prior)):
        raise InvalidKey(("classifier", "prior"), fault)


def _check_ray(config: Config) -> None:
    settings = config.classifier
    if config.delivery == "lossless":
        reason = (
            "actors of Ray work only with live delivery; emostream batch analyzes files on Ray,"
            ' and engine = "auto" works here'
        )
        raise InvalidKey(("classifier", "engine"), reason, ("delivery",))
    if settings.ray_min_actors > settings.ray_max_actors:
        reason = f"is more than classifier.ray_max_actors, {settings.ray_max_actors}"
        other = ("classifier", "ray_max_actors")
        raise InvalidKey(("classifier", "ray_min_actors"), reason, other)
    if settings.ray_scale_up_ms >= config.live.max_age_ms:
        reason = (
            f"must be below live.max_age_ms, {config.live.max_age_ms:g}: older faces are dropped"
        )
        raise InvalidKey(("classifier", "ray_scale_up_ms"), reason, ("live", "max_age_ms"))
    if settings.device == "gpu" and not settings.ray_gpus:
        reason = 'an actor needs a GPU, or a share of one, for device = "gpu": set it to 1'
        raise InvalidKey(("classifier", "ray_gpus"), reason, ("classifier", "device"))


def _check_shards(config: Config) -> None:
    shard, shards = config.classifier.shard, config.detector.shards
    if shard >= config.classifier.of:
        raise InvalidKey(("classifier", "shard"), "must be below classifier.of (it counts from 0)")
    if shard >= shards:
        reason = (
            f"there is no shard {shard}, so this classifier would get no face: set "
            f"detector.shards to {config.classifier.of} for all stages (it is {shards})"
        )
        raise InvalidKey(("classifier", "shard"), reason, ("detector", "shards"))


def _check_sources(sources: tuple[Source, ...]) -> None:
    names: set[str] = set()
    for number, source in enumerate(sources):
        path = ("capture", "sources", number)
        if source.name in names:
            raise InvalidKey((*path, "name"), f"two sources are named {source.name}")
        names.add(source.name)
        try:
            _check_url(source)
        except ConfigError as error:
            raise InvalidKey((*path, "url"), str(error)) from error


def check_picture_bytes(size: int, source: str, sides: tuple[int, int], megabytes: int) -> None:
    """Raise ConfigError if a source's pictures of `size` bytes are too large for the stages.

    `sides` is width and height in pixels, `megabytes` is the setting `live.max_message_mb`.
    """
    if size > megabytes * 1_000_000:
        width, height = sides
        needed = -(-size // 1_000_000)
        raise ConfigError(
            f"source {source}: a picture of {width} x {height} takes {needed} MB, more than "
            f"live.max_message_mb = {megabytes}; set it to {needed} for all stages, or make the "
            "pictures smaller"
        )


def _check_bounds(config: Config) -> None:
    sources, live = config.capture.sources, config.live
    if len(sources) > live.max_streams:
        reason = f"{live.max_streams} is less than the {len(sources)} sources of capture"
        raise InvalidKey(("live", "max_streams"), reason, ("capture", "sources"))
    for number, source in enumerate(sources if config.capture.encoding != "jpeg" else ()):
        size = 3 * source.width * source.height
        try:
            check_picture_bytes(
                size, source.name, (source.width, source.height), live.max_message_mb
            )
        except ConfigError as error:
            keys = (("capture", "sources", number, side) for side in ("width", "height"))
            raise InvalidKey(("live", "max_message_mb"), str(error), *keys) from error


def _check_url(source: Source) -> None:
    url = source.url
    check_variables(url)
    scheme, has_scheme, _ = url.partition("://")
    known = scheme.lower() in NETWORK_SCHEMES
    if has_scheme and not (known or scheme.lower() == "file" or has_variables(scheme)):
        schemes = ", ".join(NETWORK_SCHEMES)
        raise ConfigError(f"{redact(url)}: unknown scheme; write one of {schemes}, or a path")
    if source.password_file and not has_variables(url):
        with_password(url, "-")


def _check_addresses(config: Config) -> None:
    """Check each address, and that no two bound addresses share a port on the same host."""
    bound: defaultdict[str, list[tuple[KeyPath, str]]] = defaultdict(list)
    for path, address in _bound_addresses(config):
        host, port = _host_and_port(path, address)
        for setting, other in bound[port] if port not in FREE_PORTS else ():
            if host == other or host in ANY_HOST or other in ANY_HOST:
                reason = f"{address} has the port of {dotted(setting)} too; give each its own"
                raise InvalidKey(path, reason, setting)
        bound[port].append((path, host))
    for path, address in _connected_addresses(config):
        host, port = _host_and_port(path, address)
        if host in ANY_HOST or port in FREE_PORTS:
            raise InvalidKey(path, f"{address} has no host and port to connect to")


def _bound_addresses(config: Config) -> Iterator[tuple[KeyPath, str]]:
    for section in msgspec.structs.fields(Config):
        settings = getattr(config, section.name)
        for key in BOUND:
            if hasattr(settings, key):
                yield (section.name, key), getattr(settings, key)


def _connected_addresses(config: Config) -> Iterator[tuple[KeyPath, str]]:
    for topic, addresses in msgspec.structs.asdict(config.connect).items():
        for number, address in enumerate(addresses):
            yield ("connect", topic, number), address
    for number, address in enumerate(config.relay.connect):
        yield ("relay", "connect", number), address
    for key in ("active", "standbys"):
        for number, address in enumerate(getattr(config.classifier, key)):
            yield ("classifier", key, number), address
    for number, address in enumerate(config.display.watch):
        yield ("display", "watch", number), address


def _host_and_port(path: KeyPath, address: str) -> tuple[str, str]:
    """Return host and port of an address, or "" and the path of a Unix socket."""
    if address.startswith("ipc://"):
        if len(os.fsencode(address.removeprefix("ipc://"))) > LONGEST_IPC_PATH:
            raise InvalidKey(path, f"{address} is longer than {LONGEST_IPC_PATH} bytes")
        return "", address
    match = TCP.fullmatch(address if "://" in address else f"tcp://{address}")
    if match is None or not HOST.fullmatch(match["host"]):
        raise InvalidKey(path, f"{address} is not an address; write host:port")
    if match["port"] != "*" and int(match["port"]) > LAST_PORT:
        raise InvalidKey(path, f"{address} is above the highest port, {LAST_PORT}")
    return match["host"].strip("[]"), match["port"]


def _check_relay(config: Config) -> None:
    seen: set[str] = set()
    for number, endpoint in enumerate(config.relay.connect):
        path = ("relay", "connect", number)
        if endpoint == config.relay.bind or _is_same_port(endpoint, config.relay.bind):
            raise InvalidKey(path, f"{endpoint} is the relay's own", ("relay", "bind"))
        if endpoint in seen:
            raise InvalidKey(
                path, f"{endpoint} is listed twice, so its messages would arrive twice"
            )
        seen.add(endpoint)


def _is_same_port(endpoint: str, bind: str) -> bool:
    """Whether the endpoint is on this machine and has the port of the bound address."""
    match, own = TCP.fullmatch(endpoint), TCP.fullmatch(bind)
    if not match or not own or match["port"] != own["port"] or own["port"] in FREE_PORTS:
        return False
    host = own["host"].strip("[]")
    return is_local(endpoint) and (host in ANY_HOST or is_local(bind))


def _check_lossless(config: Config) -> None:
    if not config.lossless.credit_from:
        raise InvalidKey(
            ("lossless", "credit_from"),
            "name the consumers that confirm what they wrote, "
            'credit_from = ["recorder"]; without it nothing limits the frames in flight',
        )
    if config.recorder.video:
        raise InvalidKey(
            ("recorder", "video"),
            "lossless delivery records only rows; set it to false "
            "(emostream analyze creates the video afterwards)",
        )
    for key in ("standby", "standbys"):
        if getattr(config.classifier, key):
            raise InvalidKey(("classifier", key), "a standby works only with live delivery")
    for source in config.capture.sources:
        if source.pace != "fast" or source.loop:
            raise InvalidKey(
                ("capture", "sources"),
                f"{source.name} cannot wait for the other stages; lossless "
                'delivery needs a file or folder with pace = "fast", without loop',
            )
