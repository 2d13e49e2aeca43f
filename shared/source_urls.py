"""Source URLs: known schemes, secrets in URLs, and URLs without secrets."""

import os
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

from emostream.shared.errors import ConfigError

NETWORK_SCHEMES: Final = (
    *("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "tcp", "udp"),
)
# `$${` stands for `${`; the last group matches malformed variables.
VARIABLE: Final = re.compile(r"(?P<escaped>\$\$\{)|\$\{(?P<name>[A-Za-z_]\w*)\}|(?P<bad>\$\{)")
USER_INFO: Final = re.compile(r"://(?P<user>[^:@]*)(?P<colon>:?)(?P<password>.*)@", re.DOTALL)
PARAMETER: Final = re.compile(r"[?&](?P<name>[^=&#]*)=(?P<value>[^&#]*)")
SECRET_PARAMETER: Final = re.compile(r"pass|pwd|token|secret|key|auth|sig", re.IGNORECASE)
# Replacing shorter ones would blank out half of a message.
SHORTEST_SECRET: Final = 4


def redact(url: str) -> str:
    """Return the URL without user, password and query values, for display."""
    # Up to the last @, because passwords often contain unescaped / or @.
    shown = re.sub(r"://.*@", "://***@", url, flags=re.DOTALL)
    return re.sub(r"([?&][^=&#]*=)[^&#]*", r"\1***", shown)


def scrub(text: str, url: str) -> str:
    """Return the text without the URL's secrets, which library errors may repeat."""
    return hide(text.replace(url, redact(url)), url_secrets(url))


def hide(text: str, secrets: set[str]) -> str:
    """Return the text with each of the secrets replaced by `***`."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def url_secrets(url: str) -> set[str]:
    """Return user, password and query values, as written and decoded."""
    if "://" not in url:
        return set()
    user, has_user, _ = url.partition("://")[2].rpartition("@")
    found = {user, *user.split(":", 1)[1:]} if has_user else set()
    values = (match["value"] for match in PARAMETER.finditer(url))
    found |= {value for value in values if len(value) >= SHORTEST_SECRET}
    return {form for secret in found if secret for form in (secret, unquote(secret))}


def has_literal_password(url: str) -> bool:
    """Whether the URL itself contains a password, and not the name of a variable."""
    literal = VARIABLE.sub("", url) if "://" in url else ""
    user_info = USER_INFO.search(literal)
    if user_info and user_info["colon"] and user_info["password"]:
        return True
    return any(
        match["value"] and SECRET_PARAMETER.search(match["name"])
        for match in PARAMETER.finditer(literal)
    )


def escape(url: str) -> str:
    """Return the URL escaped, so that `expand` returns the original."""
    return url.replace("${", "$${")


def has_variables(url: str) -> bool:
    """Whether the URL contains an environment variable."""
    return any(match["name"] for match in VARIABLE.finditer(url))


def check_variables(url: str) -> None:
    """Raise ConfigError if the URL has a `${` without a valid variable name."""
    if any(match["bad"] for match in VARIABLE.finditer(url)):
        raise ConfigError("write ${NAME} for a variable of the environment, or $${ for ${ itself")


def expand(url: str, environment: Mapping[str, str] = os.environ) -> tuple[str, set[str]]:
    """Return the URL with the variables' values, and these values (secrets), raw and encoded.

    Between `://` and the last `@`, values are percent-encoded except for colons, so that a password
    may contain any character. Raises ConfigError, which names the variable, if it is not set.
    """
    begin, end = url.find("://"), url.rfind("@")
    secrets: set[str] = set()

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "${"
        name = match["name"]
        if name not in environment:
            raise ConfigError(f"the environment variable {name} is not set")
        raw = environment[name]
        written = quote(raw, safe=":") if begin < match.start() < end else raw
        if len(raw) >= SHORTEST_SECRET:
            secrets.update((raw, written))
        return written

    check_variables(url)
    return VARIABLE.sub(value, url), secrets


def with_password(url: str, password: str) -> str:
    """Return the URL with the password after its user; ConfigError if there is no place for it."""
    head, at, tail = url.partition("@")
    scheme, separator, user = head.partition("://")
    if not (at and separator and user) or "/" in user:
        raise ConfigError("its url has no user: write rtsp://user@host/...")
    if ":" in user:
        raise ConfigError("its url already has a password: remove it")
    return f"{scheme}://{user}:{quote(password, safe='')}@{tail}"
