"""Access control for HTTP addresses: tokens, and TLS where it is required."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from emostream.shared.addresses import ADVICE, is_loopback
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError
from emostream.shared.tls import Certificate
from emostream.shared.token_files import SETTINGS, Role, TokenFile, set_token_file, token_path
from emostream.shared.user_path import path_exists

TLS_KEYS: Final = "display.tls_cert and display.tls_key"
Token: TypeAlias = Callable[[], str]
log = logging.getLogger("emostream")


@dataclass(frozen=True)
class HttpAccess:
    """The access rules of an HTTP address, and its allowed host names.

    `tokens` return the valid tokens, "" if one is currently unusable. With `is_guarded`, a token is
    required. With a `certificate`, everything is encrypted. `is_exposed`: other hosts can reach it.
    """

    tokens: Mapping[Role, Token]
    is_guarded: bool = False
    is_exposed: bool = False
    certificate: Certificate | None = None
    allowed_hosts: tuple[str, ...] = ()


# The default on loopback.
OPEN: Final = HttpAccess({})


def page_access(config: Config) -> HttpAccess:
    """Return who may view the page and send commands.

    Raises ConfigError if a token or a certificate is missing or unusable.
    """
    display = config.display
    shown = f"display: display.page {display.page}"
    is_exposed, is_protected = _reach(config, display.page)
    roles = (Role.OPERATOR, Role.VIEWER)
    if is_protected and not display.create_token:
        _require_token(config, roles, shown)
    access = HttpAccess(
        _tokens(config, roles, in_folder=is_protected),
        is_protected or bool(display.viewer_token_file),
        is_exposed,
        _certificate(config),
        config.allowed_hosts,
    )
    _check_tls(config, access, shown)
    return access


def metrics_access(config: Config, stage: str) -> HttpAccess:
    """Return who may read the metrics of a stage.

    Raises ConfigError if a token or a certificate is missing or unusable.
    """
    address = getattr(config, stage).metrics
    shown = f"{stage}: {stage}.metrics {address}"
    is_exposed, is_protected = _reach(config, address)
    if is_protected:
        _require_token(config, (Role.METRICS,), shown)
    tokens = _tokens(config, (Role.METRICS,), in_folder=is_protected)
    certificate = _certificate(config) if is_exposed else None
    access = HttpAccess(tokens, bool(tokens), is_exposed, certificate, config.allowed_hosts)
    _check_tls(config, access, shown)
    return access


def log_if_plain(access: HttpAccess, address: str) -> None:
    """Warn if a token is sent without encryption."""
    if access.is_exposed and access.is_guarded and not access.certificate:
        log.warning("%s is not encrypted, including its token; set %s", address, TLS_KEYS)


def _reach(config: Config, address: str) -> tuple[bool, bool]:
    """Return whether other hosts can reach the address, and whether it needs a token."""
    is_exposed = not is_loopback(address.rpartition(":")[0])
    return is_exposed, is_exposed and not config.security.is_disabled


def _require_token(config: Config, roles: tuple[Role, ...], shown: str) -> None:
    if not any(path_exists(token_path(config, role)) for role in roles):
        raise ConfigError(
            f"{shown} can be reached from other hosts, so it needs a token; run emostream keys "
            f"token {roles[0]}, {ADVICE}"
        )


def _tokens(config: Config, roles: tuple[Role, ...], *, in_folder: bool) -> dict[Role, Token]:
    """Return the tokens from the configuration and from the key folder."""
    tokens = {}
    for role in roles:
        is_named = bool(set_token_file(config, role))
        if is_named or in_folder:
            is_made_here = role is Role.OPERATOR and config.display.create_token
            file = TokenFile(
                token_path(config, role), SETTINGS[role], optional=is_made_here or not is_named
            )
            tokens[role] = file.token
    return tokens


def _certificate(config: Config) -> Certificate | None:
    cert, key = config.display.tls_cert, config.display.tls_key
    return Certificate(cert, key) if cert else None


def _check_tls(config: Config, access: HttpAccess, shown: str) -> None:
    if access.is_exposed and config.security.mode == "required" and not access.certificate:
        raise ConfigError(
            f'{shown} can be reached from other hosts, and security.mode = "required" requires '
            f"encryption; set {TLS_KEYS}"
        )
