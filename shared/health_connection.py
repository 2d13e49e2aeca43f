"""A connection to a stage of this host that is asked for its health alone."""

import http.client

from emostream.shared.addresses import local_host


def health_connection(
    host: str, port: int, timeout: float, *, is_https: bool
) -> http.client.HTTPConnection:
    """Return a connection to what is bound at the address; `timeout` is in s.

    Its certificate is not checked: the question for health carries no token.
    """
    if not is_https:
        return http.client.HTTPConnection(local_host(host), port, timeout=timeout)
    # Few stages encrypt, and OpenSSL takes some MB.
    from emostream.shared.tls import unverified_context

    return http.client.HTTPSConnection(
        local_host(host), port, timeout=timeout, context=unverified_context()
    )
