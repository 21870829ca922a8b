"""An upstream with its credentials: what the exchange calls."""

from collections.abc import Sequence

from tollbridge.app.ports import Call, Upstream, UpstreamReply, UpstreamRequest
from tollbridge.config import Protocol
from tollbridge.upstream.headers import request_headers


class CredentialedServer:
    """Implements `app.ports.ModelServer` over any `app.ports.Upstream`."""

    def __init__(
        self,
        upstream: Upstream,
        protocol: Protocol,
        dialect: str,
        api_key: str,
        more_headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._upstream = upstream
        self._protocol: Protocol = protocol
        self._dialect = dialect
        self._api_key = api_key
        self._more_headers = tuple(more_headers)

    async def send(self, call: Call) -> UpstreamReply:
        """See `Upstream.send`."""
        headers = request_headers(
            self._protocol,
            self._dialect,
            self._api_key,
            call.client_headers,
            stream=call.stream,
            pin_version=call.pin_version,
            more=self._more_headers,
        )
        return await self._upstream.send(
            UpstreamRequest("POST", call.path, headers, call.body, call.on_sent)
        )

    async def close(self) -> None:
        """Close idle connections."""
        await self._upstream.close()
