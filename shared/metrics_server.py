"""The HTTP port of a stage, for metrics and health."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec
from prometheus_client import CollectorRegistry, make_wsgi_app

from emostream.shared.allowed_hosts import AllowedHosts
from emostream.shared.health import Health
from emostream.shared.http_access import OPEN, HttpAccess
from emostream.shared.http_connections import HttpLimits
from emostream.shared.http_server import HttpServer
from emostream.shared.token_files import Role, bearer, is_token
from emostream.shared.token_guesses import TokenGuesses

# One or two scrapers, a supervisor, a display, and somebody with curl.
LIMITS: Final = HttpLimits(connections=64)

Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
# A format version that is not a number, which prometheus_client cannot compare.
_NO_NUMBER: Final = re.compile(r";\s*version=(?!\d{1,9}(\.\d{1,9})*\s*([;,]|$))[^;,]*", re.ASCII)
# Status, headers and body.
Response: TypeAlias = tuple[int, list[tuple[str, str]], bytes]


class MetricsServer:
    """Serves /metrics, /livez, /readyz and JSON on its own thread, until it is closed.

    It accepts requests whose host is this machine, or one of the allowed hosts in `access`. If
    `access` has a token, clients without it see only /livez and the status of /readyz;
    `count_wrong` is called for each wrong token. Raises BusError if the address cannot be bound.
    """

    def __init__(
        self,
        who: str,
        host: str,
        port: int,
        registry: CollectorRegistry,
        health: Health,
        access: HttpAccess = OPEN,
        count_wrong: Callable[[], None] = lambda: None,
    ) -> None:
        self._metrics = make_wsgi_app(registry)
        self._health = health
        self._hosts = AllowedHosts(access.allowed_hosts, local_names=True)
        self._token = access.tokens.get(Role.METRICS)
        self._guesses = TokenGuesses()
        self._count_wrong = count_wrong
        self._documents: dict[str, Callable[[], object]] = {}
        self._server = HttpServer(
            who, "metrics", (host, port), self._answer, LIMITS, certificate=access.certificate
        )
        self.port = self._server.port
        self._server.__enter__()

    def serve_json(self, path: str, content: Callable[[], object]) -> None:
        """Answer requests for the path with what `content` returns, as JSON.

        `content` is called on the server's thread.
        """
        self._documents[path] = content

    def close(self) -> None:
        """Stop serving."""
        self._server.__exit__()

    async def _answer(self, scope: dict[str, Any], _: object, send: Send) -> None:
        """Answer a request, as an ASGI application."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(headers, scope["client"][0] if scope["client"] else "")
        status, lines, body = self._response(scope, headers, refusal)
        encoded = [(name.encode(), value.encode()) for name, value in lines]
        encoded.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    def _refusal(self, headers: dict[bytes, str], client: str) -> Response | None:
        """Return the answer to a client without a valid token; None if the client may proceed."""
        if self._token is None:
            return None
        given = bearer(headers.get(b"authorization", ""))
        if given is None:
            return _NO_TOKEN
        if self._guesses.are_too_many(client):
            return _TOO_MANY_GUESSES
        if is_token(given, self._token()):
            return None
        self._guesses.count(client)
        self._count_wrong()
        return _NO_TOKEN

    def _response(
        self, scope: dict[str, Any], headers: dict[bytes, str], refusal: Response | None
    ) -> Response:
        if headers.get(b"host", "") not in self._hosts:
            return _text(403, "unknown host name: add it to allowed_hosts\n")
        match scope["path"]:
            case "/livez":
                liveness = self._health.liveness()
                return _json(liveness["live"], liveness)
            case "/readyz":
                missing = self._health.missing()
                # The missing conditions contain names of streams and files.
                more = {} if refusal else {"missing": missing}
                return _json(not missing, {"ready": not missing, **more})
            case _ if refusal:
                return refusal
            case "/metrics" | "/":
                return self._page(scope, headers)
            case path if path in self._documents:
                return _json(True, self._documents[path]())
            case _:
                # A probe with a misspelled path must not be healthy forever.
                return _text(404, "/metrics, /livez or /readyz\n")

    def _page(self, scope: dict[str, Any], headers: dict[bytes, str]) -> Response:
        """Return the metrics in a format that the client accepts."""
        environ = {
            "REQUEST_METHOD": scope["method"],
            "PATH_INFO": scope["path"],
            "QUERY_STRING": scope["query_string"].decode("latin-1"),
            "HTTP_ACCEPT": _NO_NUMBER.sub("", headers.get(b"accept", "").replace('"', "")),
            "HTTP_ACCEPT_ENCODING": headers.get(b"accept-encoding", ""),
        }
        started: list[tuple[str, list[tuple[str, str]]]] = []
        body = b"".join(self._metrics(environ, lambda *start: started.append(start)))
        ((status, lines),) = started
        return int(status.split()[0]), lines, body


def _json(good: bool, body: object) -> Response:
    kind = [("Content-Type", "application/json")]
    return 200 if good else 503, kind, msgspec.json.encode(body) + b"\n"


def _text(status: int, text: str, *headers: tuple[str, str]) -> Response:
    return status, [("Content-Type", "text/plain"), *headers], text.encode()


_NEEDED: Final = "the token is missing or wrong: Authorization: Bearer TOKEN\n"
_NO_TOKEN: Final = _text(401, _NEEDED, ("WWW-Authenticate", "Bearer"))
_TOO_MANY_GUESSES: Final = _text(
    429, "too many wrong tokens from this address\n", ("Retry-After", "1")
)
