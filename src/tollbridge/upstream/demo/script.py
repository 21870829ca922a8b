"""A plan as the bytes of the Messages protocol, whole or as a stream with its pauses.

Order and content of the events: protocol notes A.7. Errors: A.8.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from tollbridge.upstream.demo.plan import Block, Call, Failure, Plan, Text, Thought
from tollbridge.upstream.demo.request import Json

_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class Step(NamedTuple):
    """Bytes, and how long the upstream is silent before it sends them."""

    data: bytes
    wait_ms: float = 0


class Script(NamedTuple):
    """An HTTP answer; `cut`: the connection breaks after the last step."""

    status: int
    headers: dict[str, str]
    steps: Sequence[Step]
    cut: bool = False


def failure(error: Failure, request_id: str) -> Script:
    """An HTTP error in the vendor's shape."""
    headers = {"retry-after": "1"} if error.status in {429, 529} else {}
    return document(error.status, _error(error, request_id), request_id, headers)


def document(
    status: int, body: dict[str, Json], request_id: str, headers: dict[str, str] | None = None
) -> Script:
    """A JSON answer."""
    data = msgspec.json.encode(body)
    return Script(status, _headers(request_id, data) | (headers or {}), [Step(data)])


def message(plan: Plan, message_id: str, request_id: str) -> Script:
    """The one-shot answer. It comes at once, except for a pause that was ordered."""
    body = _message(plan, message_id)
    body["content"] = [_content(block) for block in plan.blocks]
    body["stop_reason"] = plan.stop_reason
    body["stop_sequence"] = plan.stop_sequence
    body["stop_details"] = _stop_details(plan)
    body["usage"] = _usage(plan)
    data = msgspec.json.encode(body)
    half = len(data) // 2
    steps = [Step(data)]
    if plan.manner.stall_s:
        steps = [Step(data[:half]), Step(data[half:], plan.manner.stall_s * 1000)]
    cut = plan.manner.breaks == "cut"
    return Script(200, _headers(request_id, data), [Step(data[:half])] if cut else steps, cut)


def stream(plan: Plan, message_id: str, request_id: str, pace_ms: float) -> Script:
    """The streamed answer.

    Args:
        plan: what to say.
        message_id: `msg_` and what follows.
        request_id: for the header, and for an error event.
        pace_ms: silence before each piece, unless the plan brings its own.
    """
    manner = plan.manner
    pace = pace_ms if manner.pace_ms is None else manner.pace_ms
    steps = list(_steps(plan, message_id, pace))
    # The middle is that of the content, so that something was said before and was yet to come.
    spoken = [at for at, step in enumerate(steps) if b"_delta" in step.data[:30]][:-1]
    later = spoken[len(spoken) // 2] + 1 if spoken else 1
    if manner.stall_s:
        steps[later] = Step(steps[later].data, manner.stall_s * 1000)
    if manner.breaks != "no":
        del steps[later:]
    if manner.breaks == "error":
        overloaded = Failure(529, "Overloaded: this was asked for with [demo: fail midstream]")
        steps.append(Step(_event("error", _error(overloaded, request_id)), pace))
    headers = {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
        "request-id": request_id,
    }
    return Script(200, headers, steps, manner.breaks == "cut")


def _steps(plan: Plan, message_id: str, pace: float) -> Iterator[Step]:
    start = _message(plan, message_id)
    start["usage"] = _start_usage(plan)
    yield Step(_event("message_start", {"message": start}))
    for index, block in enumerate(plan.blocks):
        opening: dict[str, Json] = {"index": index, "content_block": _opening(block)}
        yield Step(_event("content_block_start", opening))
        if index == 0:
            yield Step(_PING)
        for delta, waits in _deltas(block):
            event: dict[str, Json] = {"index": index, "delta": delta}
            yield Step(_event("content_block_delta", event), pace if waits else 0)
        yield Step(_event("content_block_stop", {"index": index}))
    ending: dict[str, Json] = {
        "stop_reason": plan.stop_reason,
        "stop_sequence": plan.stop_sequence,
        "stop_details": _stop_details(plan),
    }
    usage = {key: value for key, value in _usage(plan).items() if key in _DELTA_USAGE}
    yield Step(_event("message_delta", {"delta": ending, "usage": usage}))
    yield Step(_event("message_stop", {}))


def _deltas(block: Block) -> Iterator[tuple[dict[str, Json], bool]]:
    """The deltas of a block; true: its piece takes its time."""
    match block:
        case Text(pieces):
            for piece in pieces:
                yield {"type": "text_delta", "text": piece}, True
        case Thought(pieces, signature, shown):
            for piece in pieces if shown else ():
                yield {"type": "thinking_delta", "thinking": piece}, True
            yield {"type": "signature_delta", "signature": signature}, False
        case Call(pieces=pieces):
            yield {"type": "input_json_delta", "partial_json": ""}, False
            for piece in pieces:
                yield {"type": "input_json_delta", "partial_json": piece}, True


def _opening(block: Block) -> dict[str, Json]:
    match block:
        case Text():
            return {"type": "text", "text": ""}
        case Thought():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case Call(id=call_id, name=name):
            return {"type": "tool_use", "id": call_id, "name": name, "input": {}}


def _content(block: Block) -> dict[str, Json]:
    """The whole block. The input of a call that was cut short is empty: half of it is not JSON."""
    content = _opening(block)
    said = "".join(block.pieces)
    match block:
        case Text():
            content["text"] = said
        case Thought(signature=signature, shown=shown):
            content["thinking"] = said if shown else ""
            content["signature"] = signature
        case Call(whole=whole):
            content["input"] = msgspec.json.decode(said) if whole else {}
    return content


def _message(plan: Plan, message_id: str) -> dict[str, Json]:
    """A message of which nothing was said yet."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": plan.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }


_DELTA_USAGE = {
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "output_tokens_details",
}


def _start_usage(plan: Plan) -> dict[str, Json]:
    return {
        "input_tokens": plan.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": min(1, plan.output_tokens),
        "service_tier": "standard",
    }


def _usage(plan: Plan) -> dict[str, Json]:
    """Of the whole answer. Nothing is remembered between requests, so no cache is ever read."""
    usage = _start_usage(plan)
    usage["output_tokens"] = plan.output_tokens
    usage["output_tokens_details"] = {"thinking_tokens": plan.thinking_tokens}
    return usage


def _stop_details(plan: Plan) -> Json:
    if plan.stop_reason != "refusal":
        return None
    reason = "This refusal was asked for with [demo: refuse]"
    return {"type": "refusal", "category": None, "explanation": reason}


def _error(error: Failure, request_id: str) -> dict[str, Json]:
    fallback = "api_error" if error.status >= 500 else "invalid_request_error"
    kind = _ERROR_TYPES.get(error.status, fallback)
    return {
        "type": "error",
        "error": {"type": kind, "message": error.message},
        "request_id": request_id,
    }


def _headers(request_id: str, body: bytes) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "request-id": request_id,
    }


def _event(name: str, data: dict[str, Json]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode({"type": name, **data}))
