"""Checks the tokens and certificates of HTTP addresses that other hosts can reach."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from emostream.services.cli.doctor.finding import Finding, good, problem, warning
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError
from emostream.shared.http_access import TLS_KEYS, HttpAccess, metrics_access, page_access
from emostream.shared.plural import counted

DAY_S: Final = 86_400
RENEW_DAYS: Final = 14
RENEW: Final = "renew it; new connections use the new certificate without a restart"


def findings(config: Config, stages: Sequence[str]) -> list[Finding]:
    """Look for the tokens and the certificate of these stages."""
    wanted: dict[str, Callable[[], HttpAccess]] = {
        f"{stage}.metrics": partial(metrics_access, config, stage) for stage in stages
    }
    if "display" in stages:
        wanted["display.page"] = partial(page_access, config)
    found: dict[str, HttpAccess] = {}
    faults: dict[str, None] = {}
    for setting, find in wanted.items():
        try:
            found[setting] = find()
        except ConfigError as error:
            faults[str(error).removeprefix(f"{setting.partition('.')[0]}: ")] = None
    return [
        *(_problem(fault) for fault in faults),
        *_judged(found, config.security.is_disabled, time.time()),
    ]


def _problem(fault: str) -> Finding:
    what, _, advice = fault.partition("; ")
    return problem("http", what, advice)


def _judged(found: dict[str, HttpAccess], is_disabled: bool, now: float) -> Iterator[Finding]:
    exposed = {name: access for name, access in found.items() if access.is_exposed}
    plain = [name for name, access in exposed.items() if not access.certificate]
    guarded = [name for name, access in exposed.items() if access.is_guarded]
    # Another finding reports that nothing is encrypted in this case.
    if plain and not is_disabled:
        what = f"not encrypted, but reachable from other hosts: {', '.join(plain)}"
        yield warning("http", what, f"set {TLS_KEYS}, or encrypt with a reverse proxy")
    if guarded:
        yield good("http", f"requires a token: {', '.join(guarded)}")
    for certificate in [each.certificate for each in found.values() if each.certificate][:1]:
        days = (certificate.expires - now) / DAY_S
        told = f"the certificate expires in {counted(int(days), 'day')}"
        yield good("tls", told) if days >= RENEW_DAYS else warning("tls", told, RENEW)
