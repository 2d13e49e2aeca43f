"""The options of `emostream analyze` about the prior, as a configuration and as words again."""

import argparse
from typing import Final

import msgspec

from emostream.shared.config import Config
from emostream.shared.config.loading import read
from emostream.shared.errors import ConfigError
from emostream.shared.prior import parse_prior

ESTIMATE: Final = "estimate"


def with_prior(config: Config, options: argparse.Namespace) -> Config:
    """Return the configuration with the prior of the command line, if that names one.

    ConfigError if it names none that there is, or `--set` says another.
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
    """Raise ConfigError if the same is said by `--set` too."""
    classifier = read(None, options.set).tree.get("classifier", {})
    for key in ("prior", "prior_strength"):
        if key in classifier and getattr(options, key) is not None:
            option = f"--{key.replace('_', '-')}"
            raise ConfigError(
                f"{option} and --set classifier.{key} set the same value: use only one"
            )


def has_prior(options: argparse.Namespace) -> bool:
    """Whether the command line says anything of the prior."""
    return options.prior is not None or options.prior_strength is not None


def prior_words(options: argparse.Namespace) -> list[str]:
    """Return the words of the command line that say it."""
    words = [] if options.prior is None else ["--prior", options.prior]
    if options.prior_strength is not None:
        words += ["--prior-strength", f"{options.prior_strength:g}"]
    return words
