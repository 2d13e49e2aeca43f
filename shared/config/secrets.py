"""Reads the secrets of sources, and removes them from what is shown."""

import logging
from pathlib import Path

import msgspec

from emostream.shared.config.schema import Config, Source
from emostream.shared.errors import ConfigError
from emostream.shared.secret_file import is_world_readable, read_secret
from emostream.shared.source_urls import (
    expand,
    has_literal_password,
    redact,
    url_secrets,
    with_password,
)

log = logging.getLogger("emostream")


def resolve(source: Source) -> tuple[Source, set[str]]:
    """Return the source with the URL to open, and the secrets in it.

    Environment variables and the password file are filled in. Raises ConfigError, which names the
    source, if one of them is missing.
    """
    setting = f"capture.sources: {source.name}"
    try:
        url, secrets = expand(source.url)
        if source.password_file:
            password = read_secret(Path(source.password_file), "password_file")
            url = with_password(url, password)
            secrets.add(password)
    except ConfigError as error:
        raise ConfigError(f"{setting}: {error}") from error
    return msgspec.structs.replace(source, url=url), secrets | url_secrets(url)


def without_secrets(config: Config) -> Config:
    """Return the configuration without secrets, for files and output."""
    replace = msgspec.structs.replace
    sources = tuple(replace(source, url=redact(source.url)) for source in config.capture.sources)
    return replace(config, capture=replace(config.capture, sources=sources))


def warn_of_readable_secrets(config: Config, path: Path | None) -> None:
    """Log a warning for each file with a password that every user can read."""
    files = {Path(each.password_file) for each in config.capture.sources if each.password_file}
    if path and any(has_literal_password(source.url) for source in config.capture.sources):
        files.add(path)
    for file in sorted(files):
        if file.exists() and is_world_readable(file):
            log.warning(
                "%s contains a password and every user can read it: run chmod 600 on it", file
            )
