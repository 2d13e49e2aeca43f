"""A connection to a stage on this host, only for health requests."""

import http.client

from emostream.shared.addresses import local_host


def health_connection(
    host: str, port: int, timeout: float, *, is_https: bool
) -> http.client.HTTPConnection:
    """Return a connection to the server at the address; `timeout` is in s.

    Its certificate is not verified, because a health request carries no token.
    """
    if not is_https:
        return http.client.HTTPConnection(local_host(host), port, timeout=timeout)
    # Few stages use TLS, and OpenSSL takes a few MB.
    from emostream.shared.tls import unverified_context

    return http.client.HTTPSConnection(
        local_host(host), port, timeout=timeout, context=unverified_context()
    )
