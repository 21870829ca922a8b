"""Tells when a pack runs out: a log line, and a signed call of the operator's webhook.

The store notes each level in the transaction that reaches it and hands each alert to one worker at
a time, until one says that it was delivered. So a crash between delivery and that word may deliver
an alert twice; its `id` is the same.
"""

import asyncio
import contextlib
import hmac
from typing import NamedTuple

import msgspec

from tollbridge.app.ports import (
    AccountStore,
    Alert,
    Clock,
    Observer,
    StoreUnavailableError,
    Upstream,
    UpstreamError,
    UpstreamRequest,
)
from tollbridge.units import ALERT_TIMEOUT_S, Millis

SIGNATURE_HEADER = "x-tollbridge-signature"


class WebhookRefusedError(Exception):
    """It answered with another status than 2xx."""


class Webhook(NamedTuple):
    """Where alerts go. The path may hold a secret, the secret is one: neither is ever logged."""

    upstream: Upstream
    path: str
    secret: bytes


class Alerter:
    """Delivers what is due whenever it is woken, one delivery after the other."""

    def __init__(
        self, store: AccountStore, webhook: Webhook | None, observer: Observer, clock: Clock
    ) -> None:
        self._store = store
        self._webhook = webhook
        self._observer = observer
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Look for alerts, unless that is being done."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._deliver_all())

    async def stop(self) -> None:
        """What is under way is left to the next worker."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._webhook is not None:
            await self._webhook.upstream.close()

    async def _deliver_all(self) -> None:
        try:
            for alert in await self._store.take_alerts(self._clock()):
                if alert.tries == 1:
                    self._observer.pack_reached(alert)
                if self._webhook is None or await self._call(self._webhook, alert):
                    await self._store.alert_sent(alert)
        except StoreUnavailableError as error:
            self._observer.trouble("alerts wait for the database", error)
        except Exception as error:  # noqa: BLE001  # the next alert must not suffer
            self._observer.trouble("bug in an alert", error)

    async def _call(self, webhook: Webhook, alert: Alert) -> bool:
        body = alert_body(alert)
        headers = [
            ("content-type", "application/json"),
            (SIGNATURE_HEADER, signature(webhook.secret, self._clock(), body)),
        ]
        try:
            async with asyncio.timeout(ALERT_TIMEOUT_S):
                request = UpstreamRequest("POST", webhook.path, tuple(headers), body)
                reply = await webhook.upstream.send(request)
                reply.abort()
            if not 200 <= reply.status < 300:
                raise WebhookRefusedError(f"it answers {reply.status}")
        except (UpstreamError, WebhookRefusedError, TimeoutError) as error:
            self._observer.trouble(f"alert try {alert.tries} failed", error)
            return False
        return True


def alert_body(alert: Alert) -> bytes:
    """What the webhook is sent. The amounts are micro-credits."""
    return msgspec.json.encode(
        {
            "id": f"{alert.env_id}/{alert.pack_id}/{alert.level}",
            "type": "pack.level_reached",
            "environment": alert.env_id,
            "pack": alert.pack_id,
            "level_percent": alert.level,
            "granted": alert.granted,
            "spent": alert.spent,
            "at": alert.at,
        }
    )


def signature(secret: bytes, now: Millis, body: bytes) -> str:
    """`t=SECONDS,v1=HEX`: the HMAC-SHA256 over `SECONDS.BODY`."""
    seconds = now // 1000
    digest = hmac.new(secret, b"%d." % seconds + body, "sha256").hexdigest()
    return f"t={seconds},v1={digest}"
