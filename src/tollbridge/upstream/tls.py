"""TLS as a client: whom we trust, and sessions that are taken up again."""

import functools
import ssl

from tollbridge.units import TLS_NAMES_MAX


class ResumingContext(ssl.SSLContext):
    """Offers each server the session of an earlier connection.

    Neither asyncio nor uvloop lets one hand a session over; but both make their TLS objects by
    `wrap_bio`, which takes one. A session is asked for when the next connection is opened, not when
    it is made, since TLS 1.3 brings it in its own time. It belongs to a name that was verified, so
    that it is offered to that name only, and the server that can take it up has been verified.
    Only so many names are remembered, for tenants can name any number of servers.
    """

    def __init__(self, *_: object) -> None:
        super().__init__()
        self._last: dict[str, ssl.SSLObject] = {}
        """By server name: the newest TLS object. The name that was used last is the last."""
        self._sessions: dict[str, ssl.SSLSession] = {}

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As in `ssl.SSLContext`."""
        name = str(server_hostname)
        last = self._last.pop(name, None)
        if last is not None and last.version() is not None and last.session is not None:
            self._sessions[name] = last.session
        made = super().wrap_bio(
            incoming, outgoing, server_side, server_hostname, session or self._sessions.get(name)
        )
        self._last[name] = made
        if len(self._last) > TLS_NAMES_MAX:
            oldest = next(iter(self._last))
            del self._last[oldest]
            self._sessions.pop(oldest, None)
        return made


def client_context(authorities: str = "", *, verify: bool = True) -> ssl.SSLContext:
    """Trusts what a file of certificates says, or the system's authorities.

    Raises:
        ValueError: the file cannot be used; the message begins with `tls_ca`.
    """
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authorities:
        try:
            context.load_verify_locations(authorities)
        except ssl.SSLError:
            raise ValueError(f"tls_ca: {authorities!r} holds no PEM certificates") from None
        except OSError as error:
            raise ValueError(f"tls_ca: {authorities!r} cannot be read: {error.strerror}") from None
    else:
        context.load_default_certs()
    return context


@functools.cache
def default_context() -> ssl.SSLContext:
    """Trusts the system's authorities.

    Made when the first TLS connection is: loading the authorities takes about 20 ms and some
    megabytes, which a gateway in front of local models never needs. All upstreams share it.
    """
    return client_context()
