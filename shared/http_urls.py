"""The URLs of the page and of the stages' metrics."""

from emostream.shared.addresses import is_loopback
from emostream.shared.config import Config, Display


def is_https(config: Config, address: str) -> bool:
    """Whether the metrics at `host:port` are encrypted.

    Beyond loopback they are if this host has a certificate, or the mode requires one everywhere.
    """
    is_wanted = bool(config.display.tls_cert) or config.security.mode == "required"
    return is_wanted and not is_loopback(address.rpartition(":")[0])


def metrics_url(config: Config, address: str) -> str:
    """Return the URL of the metrics at `host:port`."""
    return f"{'https' if is_https(config, address) else 'http'}://{address}/metrics"


def page_url(display: Display) -> str:
    """Return the URL of the page."""
    return f"{'https' if display.tls_cert else 'http'}://{display.page}"
