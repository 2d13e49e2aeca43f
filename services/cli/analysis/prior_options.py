"""The prior options of `emostream analyze`, as configuration and as arguments."""

import argparse
from typing import Final

import msgspec

from emostream.shared.config import Config
from emostream.shared.config.loading import read
from emostream.shared.errors import ConfigError
from emostream.shared.prior import parse_prior

ESTIMATE: Final = "estimate"


def with_prior(config: Config, options: argparse.Namespace) -> Config:
    """Return the configuration with the prior from the command line, if given.

    Raises ConfigError if it is invalid, or if `--set` sets it too.
    """
    if not has_prior(options):
        return config
    _check_said_once(options)
    prior, strength = config.classifier.prior, options.prior_strength
    if options.prior is not None:
        prior = None if options.prior == ESTIMATE else parse_prior(options.prior)
    classifier = msgspec.structs.replace(config.classifier, prior=prior, prior_strength=strength)
    return msgspec.structs.replace(config, classifier=classifier)


def _check_said_once(options: argparse.Namespace) -> None:
    """Raise ConfigError if `--set` sets the same value."""
    classifier = read(None, options.set).tree.get("classifier", {})
    for key in ("prior", "prior_strength"):
        if key in classifier and getattr(options, key) is not None:
            option = f"--{key.replace('_', '-')}"
            raise ConfigError(
                f"{option} and --set classifier.{key} set the same value: use only one"
            )


def has_prior(options: argparse.Namespace) -> bool:
    """Whether the command line sets the prior."""
    return options.prior is not None or options.prior_strength is not None


def prior_words(options: argparse.Namespace) -> list[str]:
    """Return the command line arguments for the prior."""
    words = [] if options.prior is None else ["--prior", options.prior]
    if options.prior_strength is not None:
        words += ["--prior-strength", f"{options.prior_strength:g}"]
    return words
