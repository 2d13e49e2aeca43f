"""Checks that the traffic of the local stages is encrypted, with the required keys."""

from collections.abc import Sequence

from emostream.services.cli.doctor.finding import Finding, good, problem, warning
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError
from emostream.shared.security import DISABLED, check_stage_keys, encrypted_endpoints


def findings(config: Config, stages: Sequence[str]) -> list[Finding]:
    """Check `security.mode`, and look for the keys that these stages need."""
    if config.security.is_disabled:
        return [
            warning(
                "security",
                DISABLED,
                'remove it from the configuration ("auto" is the default), and run emostream '
                "keys init on each host",
            )
        ]
    try:
        encrypted = [each for stage in stages for each in encrypted_endpoints(config, stage)]
        for stage in stages:
            check_stage_keys(config, stage)
    except ConfigError as error:
        return [problem("security", "the encrypted addresses cannot be used", str(error))]
    if not encrypted:
        return [good("security", "the bus is local to this machine and not encrypted")]
    return [good("security", f"encrypted: {', '.join(sorted(set(encrypted)))}")]
