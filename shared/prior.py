"""The prior as a setting: how often each label is expected, by name or by shares."""

import math
from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias, cast, get_args

from msgspec import Meta

from emostream.shared.errors import ConfigError

Share = Annotated[float, Meta(ge=0, le=1)]
PriorName: TypeAlias = Literal["natural", "uniform"]
# "natural" and "uniform", or shares by label; unnamed labels share the rest.
Prior: TypeAlias = PriorName | dict[str, Share]

PRIOR_NAMES: Final[tuple[str, ...]] = get_args(PriorName)
CHOICES: Final = f"{', '.join(PRIOR_NAMES)}, or a share for each label"
TOLERANCE: Final = 0.01  # for the sum of rounded shares


def parse_prior(text: str) -> Prior:
    """Return the prior from a command line: natural, uniform, or label=share,label=share.

    Raises ConfigError for anything else.
    """
    if text in PRIOR_NAMES:
        return cast(PriorName, text)
    shares: dict[str, float] = {}
    for pair in text.split(","):
        label, _, share = (part.strip() for part in pair.partition("="))
        try:
            number = float(share)
        except ValueError:
            number = math.nan
        if not label or math.isnan(number):
            raise ConfigError(f"prior {text}: write {', '.join(PRIOR_NAMES)}, or label=share,...")
        if label in shares:
            raise ConfigError(f"prior {text}: {label} is listed twice")
        shares[label] = number
    if fault := shares_fault(shares):
        raise ConfigError(f"prior {text}: {fault}")
    return shares


def shares_fault(shares: Mapping[str, float]) -> str:
    """Return why shares are not a valid prior, "" if they are: each in 0..1, sum at most 1."""
    if not shares:
        return "it names no label"
    for label, share in shares.items():
        if not 0 <= share <= 1:
            return f"the share of {label} is {share:g}: write a number from 0 to 1"
    if (total := sum(shares.values())) > 1 + TOLERANCE:
        return f"the shares sum to {total:g}, which is more than 1"
    return ""
