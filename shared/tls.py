"""The certificate of this host's HTTP servers, reloaded when its files change."""

import logging
import ssl
from pathlib import Path
from typing import Final

from emostream.shared.errors import ConfigError
from emostream.shared.secret_file import OTHERS_MAY_READ
from emostream.shared.user_path import user_path
from emostream.shared.whole_file import file_state, read_whole

CERT: Final = "display.tls_cert"
KEY: Final = "display.tls_key"
# The round trips of a handshake, with a margin.
FLIGHTS: Final = 5
NO_KEY: Final = "contains no private key in PEM format"
log = logging.getLogger("emostream")


class Certificate:
    """A certificate with its chain and private key, both PEM.

    Raises ConfigError if they are unusable: unreadable, not a pair, or expired.
    """

    def __init__(self, cert: str, key: str) -> None:
        self._files = user_path(cert), user_path(key)
        self._state = self._states()
        self._context, self.expires = _loaded(*self._files)

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection, from the current files.

        If they are unusable, this is logged, and the previous certificate stays in use.
        """
        state = self._states()
        if state != self._state:
            self._state = state
            try:
                self._context, self.expires = _loaded(*self._files)
            except (ConfigError, OSError) as error:
                # Files that are being replaced may be missing or truncated for a moment.
                log.error("%s; the previous certificate stays in use", error)
            else:
                log.info("new connections use the new certificate in %s", self._files[0])
        return self._context

    def _states(self) -> tuple[object, ...]:
        return tuple(map(file_state, self._files))


def first_certificate(path: Path) -> bytes:
    """Return the first certificate in a PEM file as DER; ConfigError if there is none."""
    text = _read(path, CERT).decode("ascii", "replace")
    start, end = text.find(ssl.PEM_HEADER), text.find(ssl.PEM_FOOTER)
    if start < 0 or end < start:
        raise ConfigError(f"{CERT}: {path} contains no certificate in PEM format")
    try:
        return ssl.PEM_cert_to_DER_cert(text[start : end + len(ssl.PEM_FOOTER)])
    except ValueError as error:
        raise ConfigError(f"{CERT}: {path} contains no certificate in PEM format") from error


def unverified_context() -> ssl.SSLContext:
    """Return the context of a client that accepts any certificate, and must not send secrets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _loaded(cert: Path, key: Path) -> tuple[ssl.SSLContext, float]:
    """Return a server's context with the certificate, and its expiry (s since the epoch)."""
    first_certificate(cert)
    _check_chain(cert)
    if b"ENCRYPTED" in _read(key, KEY):
        raise ConfigError(f"{KEY}: {key} is encrypted with a password; save it without one")
    if key.stat().st_mode & OTHERS_MAY_READ:
        raise ConfigError(f"{KEY}: {key} is readable by other users; run chmod 600 {key}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except (ssl.SSLError, OSError) as error:
        is_mismatch = "MISMATCH" in (getattr(error, "reason", "") or "")
        what = f"does not belong to the certificate in {cert}" if is_mismatch else NO_KEY
        raise ConfigError(f"{KEY}: {key} {what}") from error
    return context, _expiry(context, cert)


def _check_chain(cert: Path) -> None:
    """Raise ConfigError if one of the certificates in the file is damaged.

    Otherwise the error would look like a problem with the key.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cert)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"{CERT}: {cert} contains a damaged certificate") from error


def _expiry(context: ssl.SSLContext, cert: Path) -> float:
    """Return the expiry of the certificate; ConfigError if it is not valid now.

    OpenSSL checks a certificate's dates only in a handshake, so this performs one with itself.
    """
    client = unverified_context()
    client.verify_mode = ssl.CERT_REQUIRED
    client.load_verify_locations(cert)
    # The issuer is irrelevant here.
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    answering = context.wrap_bio(to_server, to_client, server_side=True)
    try:
        for end in FLIGHTS * (asking, answering):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    except ssl.SSLCertVerificationError as error:
        raise ConfigError(f"{CERT}: {cert}: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise ConfigError(f"{CERT}: {cert} cannot be used: {error.reason}") from error
    seen = asking.getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(seen["notAfter"])))


def _read(path: Path, setting: str) -> bytes:
    try:
        return read_whole(path)
    except OSError as error:
        raise ConfigError(f"{setting}: {path} cannot be read: {error.strerror}") from error
