"""A client for the stages' metrics ports, with HTTPS and tokens as configured."""

import functools
import http.client
import ssl
import urllib.request
from typing import Any, Final
from urllib.parse import urlsplit

from emostream.shared.addresses import is_loopback
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError
from emostream.shared.tls import first_certificate, unverified_context
from emostream.shared.token_files import SETTINGS, Role, TokenFile, set_token_file, token_path
from emostream.shared.user_path import user_path

TIMEOUT: Final = 1.0


class MetricsClient:
    """Opens URLs of metrics ports.

    It sends the token if the configuration names one; beyond loopback, the one in the key folder by
    default. A certificate must be this host's own, or trusted by the system for the URL's host.
    Raises ConfigError if the token is unusable.
    """

    def __init__(self, config: Config | None = None) -> None:
        config = config or Config()
        role = Role.METRICS
        self._is_for_all = bool(set_token_file(config, role))
        self._token: TokenFile | None = None
        if self._is_for_all or not config.security.is_disabled:
            self._token = TokenFile(
                token_path(config, role), SETTINGS[role], optional=not self._is_for_all
            )
        # Stages are never behind the web proxy from the environment.
        handlers = (urllib.request.ProxyHandler({}), _HttpsHandler(config.display.tls_cert))
        self._opener = urllib.request.build_opener(*handlers)
        self._any_status_opener = urllib.request.build_opener(*handlers, _AnyStatus)

    def open(self, url: str, *, any_status: bool = False) -> http.client.HTTPResponse:
        """Return the answer to a GET; with `any_status`, also if the status is an error.

        Raises OSError, HTTPException or ValueError.
        """
        request = urllib.request.Request(url)
        if token := self._token_for(urlsplit(url).hostname or ""):
            # A redirect must not forward the token.
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        opener = self._any_status_opener if any_status else self._opener
        answer: http.client.HTTPResponse = opener.open(request, timeout=TIMEOUT)
        return answer

    def _token_for(self, host: str) -> str:
        is_wanted = self._is_for_all or not is_loopback(host)
        return self._token.token() if self._token and is_wanted else ""


class _AnyStatus(urllib.request.HTTPErrorProcessor):
    """Accepts an answer with any status: `/readyz` also has a body with 503."""

    def http_response(
        self, request: urllib.request.Request, response: http.client.HTTPResponse
    ) -> http.client.HTTPResponse:
        """Return the answer."""
        return response

    https_response = http_response


class _HttpsHandler(urllib.request.HTTPSHandler):
    """Opens connections that verify the certificate as above; `own` is this host's file."""

    def __init__(self, own: str) -> None:
        super().__init__()
        self._own = own

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """Return the answer to the request."""
        connection: Any = functools.partial(_PinnedConnection, own=self._own)
        return self.do_open(connection, request)


class _PinnedConnection(http.client.HTTPSConnection):
    """A connection to a server with this host's own certificate or a trusted one."""

    def __init__(self, host: str, *, own: str, timeout: float) -> None:
        super().__init__(host, timeout=timeout)
        self._own = own

    def connect(self) -> None:
        """Connect. Nothing is sent before the certificate is verified."""
        http.client.HTTPConnection.connect(self)
        sock = unverified_context().wrap_socket(self.sock)
        self.sock = sock
        if sock.getpeercert(binary_form=True) == self._pinned():
            return
        sock.close()
        http.client.HTTPConnection.connect(self)
        self.sock = _trusting().wrap_socket(self.sock, server_hostname=self.host)

    def _pinned(self) -> bytes:
        """Return this host's current certificate, or nothing if there is none."""
        try:
            return first_certificate(user_path(self._own)) if self._own else b""
        except ConfigError:
            return b""


@functools.cache
def _trusting() -> ssl.SSLContext:
    return ssl.create_default_context()
