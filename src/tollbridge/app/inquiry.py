"""Requests that cost nothing: which models there are, how long a prompt is, are we ready."""

from collections.abc import Sequence

import msgspec

from tollbridge.access.keys import hash_key
from tollbridge.app.admission import identify, ledger_away
from tollbridge.app.exchange import Inbound
from tollbridge.app.gateway import Gateway
from tollbridge.app.ports import Call, KeyRecord, Receipt, StoreUnavailableError
from tollbridge.app.relay import from_upstream, read_whole
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import Model, Target
from tollbridge.translate.asks import read_count
from tollbridge.translate.members import read_members, write_member
from tollbridge.units import ERROR_BODY_BYTES_MAX, EnvId, RequestId
from tollbridge.wire.codec import encode

COUNT_PATH = "/v1/messages/count_tokens"


class _Count(msgspec.Struct):
    input_tokens: int


_count = msgspec.json.Decoder(_Count)


class Inquiry:
    """Answers from the catalog and the key's record; no hold, no row in the ledger."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def models(self, inbound: Inbound, name: str) -> Sequence[Model]:
        """The models that are switched on for this key, or the named one of them.

        Raises:
            GatewayError: for a bad key, group or model.
        """
        record = await self._current(inbound)
        catalog = self._gateway.catalog
        if name:
            return [catalog.resolve(inbound.group, name, record.models_on)]
        catalog.check_group(inbound.group)
        return [model for model in catalog if model.name in record.models_on]

    async def count_tokens(self, inbound: Inbound) -> bytes:
        """The length of a prompt: the upstream's own count where it has one, else our estimate.

        Never refused because it exceeds the window: a big number is the point (protocol notes
        C.9.22).

        Raises:
            GatewayError: for a bad key, body, group or model.
        """
        record = await self._current(inbound)
        body = await inbound.body()
        asked = read_count(body)
        model = self._gateway.catalog.resolve(inbound.group, asked.model, record.models_on)
        exact = await self._upstream_count(inbound, body, model.targets[0])
        return msgspec.json.encode(
            {"input_tokens": asked.input_estimate if exact is None else exact}
        )

    async def receipt(self, inbound: Inbound, request_id: str) -> Receipt:
        """What an exchange of the key's environment was charged, and why.

        Raises:
            GatewayError: for a bad key; RECEIPT_UNKNOWN, also for those of other environments and
                for exchanges that have not ended.
        """
        record = await self._current(inbound)
        try:
            receipt = await self._gateway.store.receipt(record.env_id, RequestId(request_id))
        except StoreUnavailableError as error:
            raise ledger_away() from error
        if receipt is None:
            raise GatewayError(
                ErrorCode.RECEIPT_UNKNOWN,
                f"This environment has no ended request {request_id[:100]!r}.",
            )
        return receipt

    async def ready(self) -> None:
        """Whether requests can be admitted.

        Raises:
            GatewayError: LEDGER_UNAVAILABLE.
        """
        try:
            await self._gateway.store.generation(EnvId(""))
        except StoreUnavailableError as error:
            raise ledger_away() from error

    async def _current(self, inbound: Inbound) -> KeyRecord:
        """The key's record as it is now: no admission will confirm it later."""
        directory = self._gateway.directory
        key_hash = hash_key(inbound.presented_key())
        now = self._gateway.clock()
        try:
            record = await identify(directory, key_hash, inbound.env_id, now)
            if not await directory.is_current(key_hash, record):
                record = await identify(directory, key_hash, inbound.env_id, now)
        except StoreUnavailableError as error:
            raise ledger_away() from error
        return record

    async def _upstream_count(self, inbound: Inbound, body: bytes, target: Target) -> int | None:
        if target.protocol != "messages":
            return None
        members = read_members(body)
        write_member(members, "model", target.model)
        call = Call(COUNT_PATH, encode(members), False, inbound.headers)
        try:
            reply = await from_upstream(self._gateway.servers[target.upstream].send(call))
            try:
                whole = await from_upstream(read_whole(reply, ERROR_BODY_BYTES_MAX))
            finally:
                reply.abort()
            return _count.decode(whole).input_tokens if reply.status == 200 else None
        except (GatewayError, msgspec.DecodeError, UnicodeDecodeError):
            return None
