"""The upstream's side of an exchange until an answer begins: a request written, sent, answered."""

from collections.abc import Mapping

from tollbridge.app.ports import Call, Inbound, KeyRecord, ModelServer, UpstreamError, UpstreamReply
from tollbridge.app.relay import answers, broken, refusal_of
from tollbridge.app.request_writer import PATHS, write_request
from tollbridge.routing.catalog import Target
from tollbridge.routing.health import Attempt
from tollbridge.translate.bridge import Ask, Bridge, Identity
from tollbridge.translate.pairs import open_bridge
from tollbridge.units import Tokens


class Sending:
    """An attempt, and the request in its target's words."""

    __slots__ = ("attempt", "bridge", "call")

    def __init__(self, attempt: Attempt, bridge: Bridge, call: Call) -> None:
        self.attempt = attempt
        self.bridge = bridge
        self.call = call


class Sender:
    """Of one exchange, whatever its targets. `own`: the only server there is."""

    __slots__ = (
        "_ask", "_body", "_identity", "_inbound", "_output_tokens", "_own", "_servers", "_strict",
    )  # fmt: skip

    def __init__(
        self,
        servers: Mapping[str, ModelServer],
        own: ModelServer | None,
        inbound: Inbound,
        ask: Ask,
        body: bytes,
        identity: Identity,
        output_tokens: Tokens,
        record: KeyRecord,
    ) -> None:
        self._servers = servers
        self._own = own
        self._inbound = inbound
        self._ask = ask
        self._body = body
        self._identity = identity
        self._output_tokens = output_tokens
        self._strict = record.strict

    def bridge(self, target: Target) -> Bridge:
        """Between the client and this target."""
        client = self._inbound.protocol
        return open_bridge(client, target.protocol, self._ask, self._body, self._identity)

    def write(self, attempt: Attempt, bridge: Bridge) -> Sending:
        """The request for the attempt's target.

        Raises:
            GatewayError: it cannot be said there.
        """
        target, headers = attempt.target, self._inbound.headers
        body = write_request(bridge, target, self._output_tokens, headers, strict=self._strict)
        stream = self._ask.stream or bridge.gathers
        path = PATHS[target.protocol]
        call = Call(path, body, stream, headers, bridge.pin_version, attempt.arrive)
        return Sending(attempt, bridge, call)

    def amends(self, sending: Sending) -> bool:
        """Whether what the target has refused could be left out."""
        attempt = sending.attempt
        whole = Attempt(attempt.target._replace(avoid=None), attempt.began_at)
        return sending.call.body != self.write(whole, self.bridge(whole.target)).call.body

    async def send(self, sending: Sending) -> UpstreamReply:
        """Its answer, of which the head is there. Whoever gets it calls `abort` in the end.

        Raises:
            GatewayError: the target was not reached, or has refused.
        """
        target, call = sending.attempt.target, sending.call
        server = self._own or self._servers[target.upstream]
        reply: UpstreamReply | None = None
        begun = False
        try:
            reply = await server.send(call)
            begun = answers(reply, stream=call.stream)
            if begun:
                return reply
            raise await refusal_of(target.protocol, reply)
        except UpstreamError as error:
            raise broken(error) from None
        finally:
            if reply is not None and not begun:
                reply.abort()
