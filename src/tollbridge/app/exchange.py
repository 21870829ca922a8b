"""The life of a request, in order.

1. identify   presented key to key record; the environment from the host, if it names one
2. decode     the body to an `Ask`: what the gateway needs to know, and no more
3. resolve    group, model, switch, targets
4. admit      one transaction holds the upper-bound price, or says why not
5. attempt    the plan yields a target; the request is written in its protocol
6. send       the upstream answers with a head
7. relay      its body becomes the client's answer; usage is read on the way
8. settle     what was used is posted, exactly once
9. record     one log line, one set of metrics

Until stage 4 a refusal costs nothing and leaves no row. From then on every way out of here leads
through `_settle`. The ways, in the order in which they are told apart: the client went away (the
upstream is cancelled and not to blame); the upstream failed before anything was delivered (the
plan decides what is next); it failed after that (the error travels inside the stream).
"""

import asyncio

from tollbridge.access.keys import hash_key
from tollbridge.app.admission import admission, identify, ledger_away, recognise, refused
from tollbridge.app.answer_head import answer_head
from tollbridge.app.attempts import Attempts
from tollbridge.app.gateway import Gateway
from tollbridge.app.group_directory import OwnGroup
from tollbridge.app.hedge import race
from tollbridge.app.interruptions import bug_midway, stopping
from tollbridge.app.ports import (
    Client,
    Inbound,
    KeyRecord,
    StoreUnavailableError,
    UpstreamError,
    UpstreamReply,
    Waits,
)
from tollbridge.app.recollection import recall
from tollbridge.app.relay import Relay, broken, gather, linger, read_whole
from tollbridge.app.sender import Sender, Sending
from tollbridge.errors import GatewayError
from tollbridge.ledger.model import Checkpoint, Hold, Refusal, Settlement
from tollbridge.ledger.tariff import Outcome, charge, delivered
from tollbridge.routing.catalog import Model, Target
from tollbridge.routing.health import Attempt
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Ask, Bridge, Identity, Reply, StreamBridge
from tollbridge.translate.failures import error_status
from tollbridge.translate.usage_tap import UsageTap
from tollbridge.units import RESPONSE_BYTES_MAX, Tokens
from tollbridge.usage import TokenUsage

ADMIT_TRIES = 5
"""How often an admission is decided anew because the environment changed under it."""


class Exchange:
    """One client request to its end."""

    _record: KeyRecord
    _own: OwnGroup | None = None
    _ask: Ask
    _model: Model
    _wanted: Tokens
    """The output that the hold was asked to pay for."""
    _hold: Hold
    _identity: Identity
    _sender: Sender

    def __init__(self, gateway: Gateway, inbound: Inbound, client: Client) -> None:
        self._gateway = gateway
        self._inbound = inbound
        self._client = client
        self._relay = Relay(client, gateway.pulse, inbound.protocol, inbound.request_id, self._head)
        self._started_at = gateway.clock()
        self._body = b""
        self._gone = False
        self._interrupted = False
        self.attempts = Attempts(
            gateway.routing, gateway.observer, gateway.clock, gateway.entropy, inbound.request_id
        )
        self._task: asyncio.Task[object] | None = None
        self._target: Target | None = None
        self._bridge: Bridge | None = None
        self._stream: StreamBridge | None = None
        self._reply: Reply | None = None
        self._tap = UsageTap()
        self._admit_ms = 0

    async def run(self) -> None:
        """From the presented key to the settled charge.

        Raises:
            GatewayError: nothing has been sent to the client yet; the edge tells it.
        """
        gateway, relay = self._gateway, self._relay
        try:
            await self._open()
        except GatewayError as error:
            self._refused(error)
            raise
        except StoreUnavailableError as error:
            away = ledger_away()
            self._refused(away)
            raise away from error
        except asyncio.CancelledError:
            self._refused(stopping())
            raise
        failure: GatewayError | None = None
        raised: BaseException | None = None
        finished = False
        self._task = asyncio.current_task()
        self._client.watch(self._leave)
        gateway.pulse.live[self] = None
        try:
            await self._attempt()
            finished = True
        except GatewayError as error:
            failure = error.with_traceback(None)
        except asyncio.CancelledError as error:
            # Clients hang up as soon as they have read the last event: that is a good end too.
            finished = relay.complete and (self._gone or self._interrupted)
            if not (self._gone or self._interrupted):
                raised = error
            if not (self._gone or finished):
                failure = stopping()
        except Exception as error:  # noqa: BLE001  # raised again when it is settled
            failure = bug_midway()
            if relay.head_sent:
                gateway.observer.trouble(f"bug in {self._inbound.request_id}", error)
            else:
                raised = error
        # Not in a `finally`: what is compiled must not wait while it handles an error.
        self._client.unwatch()
        gateway.pulse.live.pop(self, None)
        amount = await self._settle(finished=finished, failure=failure)
        if raised is not None:
            raise raised
        if not self._gone:
            self._end(failure, amount)

    def release(self) -> None:
        """To be called after `run`: in a cycle, long bodies would wait for the collector."""
        self._relay.let_go()

    def _end(self, failure: GatewayError | None, amount: int | None) -> None:
        if failure is not None:
            if not self._relay.head_sent:
                raise failure
            self._relay.fail(failure)
        if self._reply is None:
            self._relay.finish()
        else:
            head = [*self._head(), ("content-type", "application/json")]
            if amount is not None:
                head.append(("x-tollbridge-charge", str(amount)))
            self._client.start(200, head)
            self._client.finish(self._reply.body)

    # 1 identify, 2 decode, 3 resolve, 4 admit

    async def _open(self) -> None:
        gateway, inbound = self._gateway, self._inbound
        key_hash = hash_key(inbound.presented_key())
        who = (gateway.directory, key_hash, inbound.env_id, self._started_at)
        if recognise(*who) is None:
            await identify(*who)
        self._body = await inbound.body()
        ask = self._ask = read_ask(inbound.protocol, self._body, gateway.calibration)
        for _ in range(ADMIT_TRIES):
            # The body may have taken a while to come.
            record = recognise(*who) or await identify(*who)
            unresolved: GatewayError | None = None
            try:
                self._own, model = await gateway.resolve(inbound, record, ask.model)
            except GatewayError as error:
                unresolved = error
            if unresolved is not None:
                if await gateway.directory.is_current(key_hash, record):
                    raise unresolved
                continue
            self._record, self._model = record, model
            held = await self._admit()
            if held is Refusal.STALE:
                gateway.directory.forget(key_hash)
            elif isinstance(held, Refusal):
                raise refused(held, gateway.clock())
            else:
                self._hold = held
                message_id = gateway.entropy(12).hex()
                self._identity = Identity(
                    inbound.request_id, message_id, self._started_at // 1000, gateway.seal_key
                )
                return
        raise refused(Refusal.STALE, gateway.clock())

    async def _admit(self) -> Hold | Refusal:
        gateway, model = self._gateway, self._model
        asked = admission(
            self._inbound.request_id,
            self._record,
            self._ask,
            model,
            gateway.price_book(model),
            self._inbound.protocol,
            gateway.pulse.worker_id,
            gateway.clock(),
        )
        self._wanted = asked.need.output_tokens
        held = await gateway.store.admit(asked)
        self._admit_ms += gateway.clock() - asked.now
        return held

    def _refused(self, error: GatewayError) -> None:
        inbound = self._inbound
        self._gateway.observer.request_refused(inbound.request_id, inbound.protocol, error)

    # 5 attempt, 6 send

    async def _attempt(self) -> None:
        vault, env_id = self._gateway.vault, self._record.env_id
        if vault.may_hold(env_id):
            self._body = await recall(
                vault, env_id, self._inbound.protocol, self._ask, self._body, self._started_at
            )
        self._sender = Sender(
            self._gateway.servers, self._own.server if self._own else None, self._inbound,
            self._ask, self._body, self._identity, self._hold.output_tokens, self._record,
        )  # fmt: skip
        await self.attempts.run(
            self._model, self._inbound.headers, self._body, self._try,
            lambda: not self._relay.delivered,
        )  # fmt: skip

    async def _try(self, attempt: Attempt) -> None:
        sender, target = self._sender, attempt.target
        bridge = sender.bridge(target)
        self._bridge, self._stream, self._reply = bridge, None, bridge.local()
        self._tap = UsageTap()
        if self._reply is not None:
            return
        self._target = target
        sending = sender.write(attempt, bridge)
        if target.avoid is not None and not sender.amends(sending):
            raise self.attempts.refusal(target)  # there is nothing to leave out
        self.attempts.sending()
        if self.attempts.hedge_ms is None:
            reply = await sender.send(sending)
        else:
            sending, reply = await race(self.attempts, sender, sending)
            self._bridge, self._target = sending.bridge, sending.attempt.target
        await self._answer(sending, reply)
        while (more := sending.bridge.resume()) is not None:
            self._relay.resume()
            sending.call = sending.call.with_body(more)
            await self._answer(sending, await sender.send(sending))

    async def _answer(self, sending: Sending, reply: UpstreamReply) -> None:
        # 7 relay
        gateway, bridge = self._gateway, sending.bridge
        try:
            self.attempts.begun = True
            if sending.attempt.probe:
                gateway.routing.health.answered(sending.attempt)
            if not sending.call.stream:
                whole = await read_whole(reply, RESPONSE_BYTES_MAX)
                self._tap.whole(whole)
                self._reply = bridge.reply(whole)
                kept = self._reply.kept
            elif bridge.gathers:
                self._stream = answer = bridge.gather()
                self._reply = await gather(reply, answer, self._tap)
                kept = self._reply.kept
            else:
                self._stream = bridge.stream()
                await self._relay.stream(reply, self._stream, self._tap)
                kept = self._stream.kept
            if kept is not None:
                await gateway.vault.keep(self._record.env_id, kept, gateway.clock())
            if self._ask.stream and not (self._stream and self._stream.stopped_early):
                await linger(reply)
        except UpstreamError as error:
            raise broken(error) from None
        finally:
            reply.abort()

    # 8 settle, 9 record

    async def _settle(self, *, finished: bool, failure: GatewayError | None) -> int | None:
        gateway, record, ask, model = self._gateway, self._record, self._ask, self._model
        reported, counted = self._usage()
        if finished:
            outcome = Outcome.FINISHED
        elif self._gone and self.attempts.at_work:
            outcome = Outcome.CLIENT_GONE
        elif self._relay.delivered and counted.output:
            outcome = Outcome.FAILED_MIDWAY
        else:
            outcome = Outcome.FAILED_EARLY
        usage, provenance = charge(outcome, reported, counted, own=model.own)
        if finished and reported is not None and ask.prompt is not None and not model.own:
            gateway.calibration.learn(model.name, ask.prompt, reported.prompt, ask.input_estimate)
        book = gateway.price_book(model)
        settlement = Settlement(
            request_id=self._inbound.request_id,
            env_id=record.env_id,
            key_id=record.key_id,
            model=model.name,
            upstream=self._target.upstream if self._target else "",
            upstream_model=self._target.model if self._target else "",
            client_protocol=self._inbound.protocol,
            stream=ask.stream,
            started_at=self._started_at,
            ended_at=gateway.clock(),
            usage=usage,
            amount=book.price(usage),
            provenance=provenance,
            outcome=outcome,
            price_version=book.version,
            raw_usage=self._tap.text(),
        )
        status = 499 if self._gone and not finished else 200
        if failure is not None and not self._relay.head_sent:
            status = error_status(self._inbound.protocol, failure)
        try:
            settled = await gateway.settler.settle(settlement)
        finally:
            for kind, name in self._bridge.unknown.names() if self._bridge else ():
                gateway.observer.unknown(kind, name)
            code = failure.code.name if failure else None
            attempts = self.attempts.made
            first, settle_ms = self._relay.delivered_at, gateway.clock() - settlement.ended_at
            first_ms = None if first is None else first - self._started_at
            waits = Waits(self._admit_ms, settle_ms, first_ms)
            gateway.observer.exchange_ended(settlement, status, code, waits, attempts)
        return settled.amount if settled else None

    def _usage(self) -> tuple[TokenUsage | None, TokenUsage]:
        """What the upstream reported so far, and our own count."""
        tap: StreamBridge | Reply | None = self._stream or self._reply
        counted = TokenUsage(
            input=self._ask.input_estimate if self._target else 0,
            output=tap.counted_output if tap and (self._reply or self._relay.delivered) else 0,
        )
        return (tap.usage if tap else None), counted

    # What the tick of the worker asks of an exchange under way (`pulse.Live`).

    @property
    def beat(self) -> int:
        """The tick at which bytes last went to the client."""
        return self._relay.beat

    def checkpoint(self) -> Checkpoint | None:
        """How far the stream is; None before anything was delivered."""
        if not self._relay.delivered:
            return None
        usage = delivered(*self._usage())
        amount = self._gateway.price_book(self._model).price(usage)
        request_id, target = self._inbound.request_id, self._target
        assert target is not None, "something was delivered"
        return Checkpoint(
            request_id, self._record.env_id, usage, amount, target.upstream, target.model
        )

    def keep_alive(self) -> None:
        """Send a heartbeat; only a stream can bear one."""
        if self._ask.stream:
            self._relay.keep_alive()

    def interrupt(self) -> None:
        """The gateway is stopping."""
        self._interrupted = True
        self._cancel()

    def _leave(self) -> None:
        self._gone = True
        self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _head(self) -> list[tuple[str, str]]:
        asked = self._ask.max_tokens
        return answer_head(
            upstream="" if self._target is None else self._target.upstream,
            attempts=self.attempts.made,
            dropped=() if self._bridge is None else self._bridge.dropped,
            paid=self._hold.output_tokens,
            wanted=self._wanted if asked is None else asked,
        )
