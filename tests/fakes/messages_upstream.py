"""A fake upstream that speaks Anthropic Messages, as strict as the real one where it matters."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.http_server import EVENT_TYPE, Reply, Request
from tests.fakes.script import Conversation, Script, cap, sample, words
from tests.fakes.shape import wrong_member

Json = dict[str, Any]

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
KNOWN_FIELDS = frozenset(
    [
        "model",
        "messages",
        "max_tokens",
        "system",
        "stream",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "metadata",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "cache_control",
        "service_tier",
        "speed",
        "inference_geo",
        "container",
        "diagnostics",
        "context_management",
    ]
)
SAMPLING_FREE_VERSION = "2026-10-21"
TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")


class RefusedError(Exception):
    """The request is wrong; told as the vendor tells it."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class MessagesUpstream:
    """The answer function; give it to `serving` or `serving_in_thread`."""

    script: Script = field(default_factory=Script)
    api_key: str = ""
    """When set, any other key is refused."""
    thinks_unasked: bool = False
    strict: bool = True
    """Refuse unknown top-level fields."""

    def __call__(self, request: Request) -> Reply:
        try:
            return self._answer(request)
        except RefusedError as refused:
            return problem(refused.status, str(refused))

    def _answer(self, request: Request) -> Reply:
        presented = request.headers.get("x-api-key") or request.headers.get(
            "authorization", ""
        ).removeprefix("Bearer ")
        if self.api_key and presented != self.api_key:
            raise RefusedError("invalid x-api-key", 401)
        path = request.path.partition("?")[0]
        if not path.endswith(("/v1/messages", "/v1/messages/count_tokens")):
            raise RefusedError(f"no such path: {path}", 404)
        body: Json = request.json()
        if wrong := wrong_member(body):
            raise RefusedError(f"{wrong}: Input should be valid")
        conversation = check(body, request.headers.get("anthropic-version", ""), self.strict)
        if path.endswith("count_tokens"):
            return Reply.of_json(200, {"input_tokens": conversation.input_tokens})
        if not isinstance(body.get("max_tokens"), int):
            raise RefusedError("max_tokens: Field required")
        script = self.script.followed_by(conversation.directives)
        if script.error:
            headers = {"retry_after": str(script.retry_after)} if script.retry_after else {}
            return problem(script.error, f"scripted error {script.error}", **headers)
        message = self._message(body, conversation, script)
        if not body.get("stream"):
            if script.error_after:
                return problem(500, "scripted error")
            whole = json.dumps(message, ensure_ascii=False).encode()
            return Reply(200, (whole,), ending="cut" if script.cut_after else "clean")
        pieces = [event(name, data) for name, data in events(message, script)]
        if script.breaks_after:
            pieces = pieces[: script.breaks_after]
        if script.error_after:
            error = {"type": "overloaded_error", "message": "scripted error"}
            pieces.append(event("error", {"type": "error", "error": error}))
        ending = "cut" if script.cut_after else "clean"
        return Reply(200, tuple(pieces), EVENT_TYPE, pace_s=script.pace, ending=ending)

    def _message(self, body: Json, conversation: Conversation, script: Script) -> Json:
        content: list[Json] = []
        thinking = script.reasoning or f"The user is at turn {len(conversation.user_texts)}."
        asked = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
        if asked or self.thinks_unasked or script.reasoning:
            content.append(thought(thinking, hidden=bool(script.redacted)))
        calls = tool_calls(body, conversation, script)
        text, stop = "", {"stop_reason": "end_turn", "stop_sequence": None}
        if calls:
            content += [{"type": "text", "text": "Let me look."}, *calls]
            stop["stop_reason"] = "tool_use"
        else:
            text = conversation.answer(script)
            for sequence in body.get("stop_sequences", []):
                if sequence in text:
                    text = text.partition(sequence)[0]
                    stop = {"stop_reason": "stop_sequence", "stop_sequence": sequence}
            text, capped = cap(text, body["max_tokens"])
            if capped:
                stop = {"stop_reason": "max_tokens", "stop_sequence": None}
            content.append({"type": "text", "text": text})
        shown = "".join(str(block.get("text", "")) for block in content)
        usage = {
            "input_tokens": conversation.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": script.cached,
            "output_tokens": len(words(shown)) + len(calls) * 5 + len(words(thinking)),
            "service_tier": "standard",
        }
        if content[0]["type"] not in ("thinking", "redacted_thinking"):
            usage["output_tokens"] -= len(words(thinking))
        digest = hashlib.sha256(repr(body).encode()).hexdigest()[:24]
        message: Json = {
            "id": f"msg_{digest}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            **stop,
            "usage": usage,
        }
        if script.no_usage:
            del message["usage"]
        return message


def problem(status: int, message: str, **headers: str) -> Reply:
    """An error as the vendor shapes it."""
    kind = ERROR_TYPES.get(status, "api_error")
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}
    return Reply.of_json(status, body, **headers)


def signature(thinking: str) -> str:
    """What proves that a thinking block comes back as it was sent."""
    return base64.b64encode(hashlib.sha256(f"sealed {thinking}".encode()).digest()).decode()


def thought(thinking: str, *, hidden: bool = False) -> Json:
    """A thinking block, or its redacted form."""
    if hidden:
        return {"type": "redacted_thinking", "data": signature(thinking)}
    return {"type": "thinking", "thinking": thinking, "signature": signature(thinking)}


def tool_calls(body: Json, conversation: Conversation, script: Script) -> list[Json]:
    """The calls to make: as scripted, or one where the client forces it; none after a result."""
    offered = [tool for tool in body.get("tools", []) if "input_schema" in tool]
    choice = body.get("tool_choice", {"type": "auto"})
    if conversation.ends_with_tool_result or not offered or choice["type"] == "none":
        return []
    count = script.tools or int(choice["type"] in ("any", "tool"))
    if choice.get("disable_parallel_tool_use"):
        count = min(count, 1)
    if choice["type"] == "tool":
        offered = [tool for tool in offered if tool["name"] == choice["name"]]
    return [
        {
            "type": "tool_use",
            "id": f"toolu_{index:02}{len(conversation.user_texts):02}",
            "name": tool["name"],
            "input": sample(tool["input_schema"]),
        }
        for index, tool in enumerate((offered * count)[:count])
    ]


def event(name: str, data: Json) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def events(message: Json, script: Script) -> list[tuple[str, Json]]:
    """The message as the stream that folds back to it."""
    usage: Json = message.get("usage", {})
    start = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    if usage:
        start["usage"] = {**usage, "output_tokens": 1}
    out: list[tuple[str, Json]] = [("message_start", {"message": start})]
    for index, block in enumerate(message["content"]):
        empty, deltas = _opened(block)
        out.append(("content_block_start", {"index": index, "content_block": empty}))
        if index == 0:
            out.append(("ping", {}))
        out += [("content_block_delta", {"index": index, "delta": delta}) for delta in deltas]
        out.append(("content_block_stop", {"index": index}))
    delta = {name: message[name] for name in ("stop_reason", "stop_sequence")}
    end: Json = {"delta": delta}
    if usage:
        end["usage"] = {"output_tokens": usage["output_tokens"]}
    out += [("message_delta", end), ("message_stop", {})]
    return [(name, {"type": name, **data}) for name, data in out]


def _opened(block: Json) -> tuple[Json, list[Json]]:
    """The block's empty form, and the deltas that fill it."""
    match block["type"]:
        case "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in words(block["text"])]
            return {"type": "text", "text": ""}, deltas
        case "thinking":
            deltas = [
                {"type": "thinking_delta", "thinking": piece} for piece in words(block["thinking"])
            ]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {"type": "thinking", "thinking": "", "signature": ""}, deltas
        case "tool_use":
            text = json.dumps(block["input"], ensure_ascii=False)
            parts = ["", text[: len(text) // 2], text[len(text) // 2 :]]
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
            return {**block, "input": {}}, deltas
        case _:
            return block, []


def check(body: Json, version: str, strict: bool) -> Conversation:
    """Refuse what the vendor refuses (protocol notes 0.2, A.3, A.4); follow the conversation."""
    if not version:
        raise RefusedError("anthropic-version: header is required")
    for name in sorted(body.keys() - KNOWN_FIELDS) if strict else ():
        raise RefusedError(f"{name}: Extra inputs are not permitted")
    for name in ("temperature", "top_p", "top_k"):
        if name in body and version >= SAMPLING_FREE_VERSION:
            raise RefusedError(f"{name}: not supported with anthropic-version {version}")
    if not 0 <= body.get("temperature", 1) <= 1:
        raise RefusedError("temperature: range: 0..1")
    if not isinstance(body.get("model"), str):
        raise RefusedError("model: Field required")
    if not body.get("messages"):
        raise RefusedError("messages: at least one message is required")
    if body["messages"][0]["role"] == "assistant":
        raise RefusedError('messages.0: first message must use the "user" role')
    thinking = body.get("thinking", {})
    if thinking.get("type") == "enabled" and not (
        1024 <= thinking.get("budget_tokens", 0) < body["max_tokens"]
    ):
        raise RefusedError("thinking.budget_tokens: at least 1024 and below max_tokens")
    system = [_text(block, "system") for block in _blocks(body.get("system", ""))]
    user, results, images, pending = [], [], 0, set[str]()
    last = ""
    for position, message in enumerate(body["messages"]):
        where, role = f"messages.{position}", message["role"]
        if role not in ("user", "assistant", "system"):
            raise RefusedError(f"{where}.role: unexpected role {role!r}")
        blocks = _blocks(message["content"])
        if not blocks and not (role == "assistant" and position == len(body["messages"]) - 1):
            raise RefusedError(f"{where}: all messages must have non-empty content")
        pending = _check_tools(where, role, blocks, pending)
        kinds = [block["type"] for block in blocks]
        _check_thinking(where, blocks)
        texts = [_text(block, where) for block in blocks if block["type"] == "text"]
        if role == "system":
            system += texts
            continue
        last = "tool_result" if "tool_result" in kinds else role
        images += kinds.count("image")
        results += [_result(block) for block in blocks if block["type"] == "tool_result"]
        if role == "user" and (texts or "image" in kinds):
            user.append(" ".join(texts))
    if pending:
        raise RefusedError(f"tool_use ids without tool_result blocks: {', '.join(sorted(pending))}")
    return Conversation("\n".join(system), user, results, last == "tool_result", images)


def _blocks(content: str | list[Json]) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _text(block: Json, where: str) -> str:
    text = block["text"]
    if not isinstance(text, str) or not text:
        raise RefusedError(f"{where}: text content blocks must be non-empty")
    return text


def _result(block: Json) -> str:
    texts = [part.get("text", f"[{part['type']}]") for part in _blocks(block.get("content", ""))]
    return ("error: " if block.get("is_error") else "") + " ".join(texts)


def _check_thinking(where: str, blocks: list[Json]) -> None:
    for block in blocks:
        if block["type"] == "thinking" and block["signature"] != signature(block["thinking"]):
            raise RefusedError(f"{where}: Invalid `signature` in `thinking` block")


def _check_tools(where: str, role: str, blocks: list[Json], pending: set[str]) -> set[str]:
    """Every call is answered at the start of the next user message, and nothing else is."""
    answered = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
    if role == "system":
        return pending
    if answered != pending:
        raise RefusedError(
            f"{where}: tool_result blocks {sorted(answered)} do not answer the tool_use blocks"
            f" {sorted(pending)} of the previous message"
        )
    kinds = [block["type"] for block in blocks]
    if answered and kinds[: len(answered)] != ["tool_result"] * len(answered):
        raise RefusedError(f"{where}: tool_result blocks must come first")
    asked = {block["id"] for block in blocks if block["type"] == "tool_use"}
    for identifier in asked:
        if not TOOL_ID.fullmatch(identifier):
            raise RefusedError(f"{where}: tool_use.id {identifier!r} must match {TOOL_ID.pattern}")
    return asked


if __name__ == "__main__":
    from tests.fakes.http_server import serve_command

    serve_command(MessagesUpstream())
