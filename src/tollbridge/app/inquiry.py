"""Requests that cost nothing: which models there are, how long a prompt is, how is the gateway."""

import asyncio
import hmac
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tollbridge.access.keys import hash_key
from tollbridge.app.admission import identify, ledger_away
from tollbridge.app.gateway import Gateway
from tollbridge.app.group_directory import OwnGroup
from tollbridge.app.ports import (
    Call,
    Inbound,
    KeyRecord,
    ModelServer,
    Receipt,
    StoreUnavailableError,
)
from tollbridge.app.relay import from_upstream, read_whole
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import Model, Target, is_own
from tollbridge.translate.asks import CountAsk, read_count
from tollbridge.translate.bridge import UpstreamTerms
from tollbridge.translate.count_requests import count_request, read_count_reply
from tollbridge.translate.prompt_text import prompt_text
from tollbridge.units import (
    ASK_AGAIN_AFTER_MS,
    COUNT_TIMEOUT_S,
    ERROR_BODY_BYTES_MAX,
    GROUPS_MAX,
    EnvId,
    Millis,
    RequestId,
)

_UNKNOWN = frozenset({404, 405, 501})


class Count(NamedTuple):
    """The answer's body, and whether the number is the upstream's own."""

    body: bytes
    exact: bool


class Inquiry:
    """Answers from the catalog and the key's record; no hold, no row in the ledger."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._not_before: dict[str, Millis] = {}
        """Upstreams that do not count, and when they are asked again."""

    async def models(self, inbound: Inbound, name: str) -> Sequence[Model]:
        """The models that are switched on for this key, or the named one of them.

        Raises:
            GatewayError: for a bad key, group or model.
        """
        record = await self._current(inbound)
        catalog = self._gateway.catalog
        if is_own(inbound.group):
            group = (await self._group(record, inbound)).group
            if name:
                return [group.resolve(name)._replace(name=name)]
            return group.listed()
        if name:
            return [catalog.resolve(inbound.group, name, record.models_on)]
        return [model for model in catalog if model.name in record.models_on]

    async def count_tokens(self, inbound: Inbound) -> Count:
        """The length of a prompt: the upstream's own count where it has one, else our estimate.

        Never refused because it exceeds the window: a big number is the point (protocol notes
        C.9.22).

        Raises:
            GatewayError: for a bad key, body, group or model.
        """
        record = await self._current(inbound)
        body = await inbound.body()
        asked = read_count(body)
        if is_own(inbound.group):
            own = await self._group(record, inbound)
            model, server = own.group.resolve(asked.model), own.server
        else:
            model = self._gateway.catalog.resolve(inbound.group, asked.model, record.models_on)
            server = self._gateway.servers[model.targets[0].upstream]
        exact = await self._upstream_count(inbound, body, model.targets[0], server)
        tokens = await self._estimate(asked, body) if exact is None else exact
        return Count(msgspec.json.encode({"input_tokens": tokens}), exact is not None)

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

    async def metrics(self, inbound: Inbound) -> tuple[str, bytes]:
        """The figures of all workers, as (content type, text). They are the operator's alone.

        Raises:
            GatewayError: ROUTE_UNKNOWN where the operator has set no key for them; KEY_UNKNOWN,
                CREDENTIAL_MISSING; INTERNAL if the figures of the other workers cannot be read.
        """
        gateway = self._gateway
        if gateway.scoreboard is None:
            raise GatewayError(
                ErrorCode.ROUTE_UNKNOWN, "Metrics are not served: the setting is metrics_key."
            )
        wanted = hash_key(gateway.config.server.metrics_key)
        if not hmac.compare_digest(hash_key(inbound.presented_key()), wanted):
            raise GatewayError(ErrorCode.KEY_UNKNOWN, "This is not the key for the metrics.")
        scoreboard = gateway.scoreboard
        try:
            return scoreboard.content_type, await scoreboard.text(len(gateway.pulse.live))
        except OSError as error:
            gateway.observer.trouble("the metrics cannot be read", error)
            raise GatewayError(
                ErrorCode.INTERNAL, "The workers' figures cannot be read; see the log."
            ) from error

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

    async def _estimate(self, asked: CountAsk, body: bytes) -> int:
        """By the model's own vocabulary if the operator named one, else by what was learned."""
        count = self._gateway.tokenizers.get(asked.model)
        if count is None:
            return self._gateway.calibration.estimate(asked.model, asked.prompt)
        return await asyncio.to_thread(count, prompt_text(body)) + asked.prompt.flat

    async def _group(self, record: KeyRecord, inbound: Inbound) -> OwnGroup:
        try:
            groups = self._gateway.groups
            return await groups.find(record, inbound.group, inbound.headers)
        except StoreUnavailableError as error:
            raise ledger_away() from error

    async def _upstream_count(
        self, inbound: Inbound, body: bytes, target: Target, server: ModelServer
    ) -> int | None:
        gateway = self._gateway
        if gateway.clock() < self._not_before.get(target.upstream, 0):
            return None
        terms = UpstreamTerms(target.model, target.dialect, 1, overrides=target.overrides)
        try:
            asked = count_request(body, target.protocol, terms, gateway.seal_key)
            if asked is None:
                return None
            call = Call(asked.path, asked.body, False, inbound.headers)
            async with asyncio.timeout(COUNT_TIMEOUT_S):
                status, whole = await self._ask(target.upstream, server, call)
        except (GatewayError, TimeoutError):
            return None
        if status in _UNKNOWN:
            if len(self._not_before) >= GROUPS_MAX:  # upstreams of groups come and go
                self._not_before.clear()
            self._not_before[target.upstream] = Millis(gateway.clock() + ASK_AGAIN_AFTER_MS)
        return read_count_reply(whole) if status == 200 else None

    async def _ask(self, upstream: str, server: ModelServer, call: Call) -> tuple[int, bytes]:
        """Status and body of an answer, in a place at the upstream if those are limited."""
        turnstile = self._gateway.routing.turnstiles.get(upstream)
        if turnstile is not None:
            await turnstile.enter()
        try:
            reply = await from_upstream(server.send(call))
            try:
                return reply.status, await from_upstream(read_whole(reply, ERROR_BODY_BYTES_MAX))
            finally:
                reply.abort()
        finally:
            if turnstile is not None:
                turnstile.leave()
