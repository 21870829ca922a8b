"""Before the hold: is the key good, and what may the request cost at most."""

from tollbridge.app.directory import Directory
from tollbridge.app.ports import KeyRecord
from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.ledger.estimate import need
from tollbridge.ledger.limits import seconds_left
from tollbridge.ledger.model import Admission, Refusal
from tollbridge.ledger.pricing import PriceBook
from tollbridge.routing.catalog import Model
from tollbridge.translate.bridge import Ask
from tollbridge.units import EnvId, Millis, RequestId, Tokens

ROOM_MIN_TOKENS = 4_096
"""The prompt is only estimated: an estimate that fills the window must not strangle the answer.
The model's server knows better, and refuses what is really too long."""

OWN_OUTPUT_MAX = Tokens(10_000_000)
"""More than any model gives, and nothing that a database could not add up."""

HELD_RETRY_AFTER_S = 2
"""What a client is told to wait for credits or a slot that requests under way are holding."""

STALE_RETRY_AFTER_S = 1

REFUSALS: dict[Refusal, tuple[ErrorCode, str]] = {
    Refusal.STALE: (
        ErrorCode.LEDGER_UNAVAILABLE,
        "This environment is being changed too fast; try again.",
    ),
    Refusal.DUPLICATE: (ErrorCode.INTERNAL, "This request id has been used before."),
    Refusal.KEY_EXPIRED: (ErrorCode.KEY_EXPIRED, "This API key has expired."),
    Refusal.KEY_EXHAUSTED: (
        ErrorCode.PACK_EXHAUSTED,
        (
            "Token usage exceeded quota limit: the budget of this API key does not pay for this"
            " request. Raise the key's budget, use another key, or ask for fewer tokens."
        ),
    ),
    Refusal.KEY_HELD: (
        ErrorCode.CREDITS_HELD,
        (
            "What is left of this API key's budget is held by requests under way; try again when"
            " they have ended."
        ),
    ),
    Refusal.EXHAUSTED: (
        ErrorCode.PACK_EXHAUSTED,
        (
            "Token usage exceeded quota limit: no pack of this environment has the credits for this"
            " request. Grant a pack, or ask for fewer tokens."
        ),
    ),
    Refusal.HELD: (
        ErrorCode.CREDITS_HELD,
        "All credits left are held by requests under way; try again when they have ended.",
    ),
    Refusal.KEY_CONCURRENCY: (
        ErrorCode.CONCURRENCY_EXCEEDED,
        "This API key has as many requests under way as it may; try again when one has ended.",
    ),
    Refusal.CONCURRENCY: (
        ErrorCode.CONCURRENCY_EXCEEDED,
        "This environment has as many requests under way as it may; try again when one has ended.",
    ),
    Refusal.KEY_REQUESTS: (
        ErrorCode.RATE_EXCEEDED,
        "This API key has used up its requests of this minute.",
    ),
    Refusal.KEY_TOKENS: (
        ErrorCode.RATE_EXCEEDED,
        "This API key has used up its tokens of this minute.",
    ),
    Refusal.REQUESTS: (
        ErrorCode.RATE_EXCEEDED,
        "This environment has used up its requests of this minute.",
    ),
    Refusal.TOKENS: (
        ErrorCode.RATE_EXCEEDED,
        "This environment has used up its tokens of this minute.",
    ),
}
"""What each refusal is to a client."""

AWAY_RETRY_AFTER_S = 5
"""What a client is told to wait for the database."""


def recognise(
    directory: Directory, key_hash: bytes, env_id: EnvId | None, now: Millis
) -> KeyRecord | None:
    """The record of a key that opens this environment as far as is remembered; else `identify`."""
    record = directory.known(key_hash)
    return None if record is None or key_error(record, env_id, now) else record


async def identify(
    directory: Directory, key_hash: bytes, env_id: EnvId | None, now: Millis
) -> KeyRecord:
    """The record of a key that opens this environment now.

    Raises:
        GatewayError: one of the KEY codes, confirmed against the current generation.
    """
    while True:
        record = await directory.find(key_hash)
        error = key_error(record, env_id, now)
        if record is not None and error is None:
            return record
        if error is not None and (record is None or await directory.is_current(key_hash, record)):
            raise error


def key_error(record: KeyRecord | None, env_id: EnvId | None, now: Millis) -> GatewayError | None:
    """Why this key does not open this environment; None: it does."""
    if record is None:
        return GatewayError(
            ErrorCode.KEY_UNKNOWN, "This API key is not known here; check it for a typing error."
        )
    if env_id is not None and record.env_id != env_id:
        return GatewayError(
            ErrorCode.KEY_FOREIGN, f"This API key does not belong to the environment {env_id!r}."
        )
    if record.revoked_at is not None:
        return GatewayError(ErrorCode.KEY_REVOKED, "This API key has been revoked.")
    if record.expires_at is not None and record.expires_at <= now:
        return GatewayError(ErrorCode.KEY_EXPIRED, "This API key has expired.")
    return None


def admission(
    request_id: RequestId,
    record: KeyRecord,
    ask: Ask,
    model: Model,
    book: PriceBook,
    protocol: Protocol,
    worker_id: str,
    now: Millis,
) -> Admission:
    """What to ask of the ledger: the output is bounded by the client, the model and its window.

    Client and ledger mean all choices together, the model's limits are those of each. What a model
    of the environment's own upstream can do is not known here.
    """
    room = max(model.context_window - ask.input_estimate, ROOM_MIN_TOKENS)
    limit = min(model.output_limit, room) * ask.choices
    if model.own:
        limit = OWN_OUTPUT_MAX if ask.max_tokens is not None else model.output_limit
    output = limit if ask.max_tokens is None else min(ask.max_tokens, limit)
    return Admission(
        request_id=request_id,
        env_id=record.env_id,
        key_id=record.key_id,
        generation=record.generation,
        model=model.name,
        need=need(ask.input_bound, output, book),
        worker_id=worker_id,
        now=now,
        client_protocol=protocol,
        stream=ask.stream,
        price_version=book.version,
        input_tokens=Tokens(ask.input_estimate),
        limits=record.env_limits,
        key_limits=record.limits,
        key_budgeted=record.budgeted and not model.own,
        key_expires_at=record.expires_at,
    )


def ledger_away() -> GatewayError:
    """The database cannot be asked, and nothing is served that cannot be charged."""
    return GatewayError(
        ErrorCode.LEDGER_UNAVAILABLE,
        "The ledger's database is away; try again.",
        retry_after_s=AWAY_RETRY_AFTER_S,
    )


def refused(refusal: Refusal, now: Millis) -> GatewayError:
    """The ledger's refusal in words."""
    code, message = REFUSALS[refusal]
    retry_after_s = None
    if code is ErrorCode.RATE_EXCEEDED:
        retry_after_s = seconds_left(now)
    elif refusal is Refusal.STALE:
        retry_after_s = STALE_RETRY_AFTER_S
    elif code in (ErrorCode.CREDITS_HELD, ErrorCode.CONCURRENCY_EXCEEDED):
        retry_after_s = HELD_RETRY_AFTER_S
    return GatewayError(code, message, retry_after_s=retry_after_s)
