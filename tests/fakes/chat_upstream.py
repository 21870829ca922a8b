"""A fake upstream that speaks OpenAI Chat Completions, strict or as lax as open-weights servers."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.http_server import EVENT_TYPE, Reply, Request
from tests.fakes.script import Conversation, Script, cap, sample, words
from tests.fakes.shape import wrong_member

Json = dict[str, Any]

ERROR_TYPES = {429: "rate_limit_exceeded", 401: "invalid_request_error"}
KNOWN_FIELDS = frozenset(
    [
        "model",
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "n",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "verbosity",
        "metadata",
        "service_tier",
        "store",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "functions",
        "function_call",
    ]
)
FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class RefusedError(Exception):
    """The request is wrong; told as the vendor tells it."""

    def __init__(
        self, message: str, param: str | None = None, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.param, self.code, self.status = param, code, status


@dataclass
class ChatUpstream:
    """The answer function; give it to `serving` or `serving_in_thread`."""

    script: Script = field(default_factory=Script)
    api_key: str = ""
    """When set, any other key is refused."""
    thinks_unasked: bool = False
    reasoning_name: str = "reasoning_content"
    """`reasoning` at some servers."""
    strict: bool = True
    """Refuse unknown top-level fields."""
    refuses_max_tokens: bool = False
    """As the vendor's reasoning models do: only `max_completion_tokens` is taken."""

    def __call__(self, request: Request) -> Reply:
        try:
            return self._answer(request)
        except RefusedError as refused:
            return problem(refused.status, str(refused), refused.param, refused.code)

    def _answer(self, request: Request) -> Reply:
        presented = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.api_key and presented != self.api_key:
            raise RefusedError("Incorrect API key provided", None, "invalid_api_key", 401)
        if not request.path.partition("?")[0].endswith("/chat/completions"):
            raise RefusedError(f"Unknown path {request.path}", None, "unknown_url", 404)
        body: Json = request.json()
        if wrong := wrong_member(body):
            raise RefusedError(f"Invalid value for '{wrong}'", wrong, "invalid_value")
        if "max_tokens" in body and self.refuses_max_tokens:
            raise RefusedError(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use"
                " 'max_completion_tokens' instead.",
                "max_tokens",
                "unsupported_parameter",
            )
        conversation = check(body, self.strict)
        script = self.script.followed_by(conversation.directives)
        if script.error:
            headers = {"retry_after": str(script.retry_after)} if script.retry_after else {}
            return problem(script.error, f"scripted error {script.error}", **headers)
        completion = self._completion(body, conversation, script)
        if not body.get("stream"):
            if script.error_after:
                return problem(500, "scripted error")
            whole = json.dumps(completion, ensure_ascii=False).encode()
            return Reply(200, (whole,), ending="cut" if script.cut_after else "clean")
        asked = (body.get("stream_options") or {}).get("include_usage", False)
        pieces = [data(chunk) for chunk in self._chunks(completion, asked)] + [b"data: [DONE]\n\n"]
        if script.breaks_after:
            pieces = pieces[: script.breaks_after]
        if script.error_after:
            pieces.append(data({"error": {"message": "scripted error", "type": "server_error"}}))
        ending = "cut" if script.cut_after else "clean"
        return Reply(200, tuple(pieces), EVENT_TYPE, pace_s=script.pace, ending=ending)

    def _completion(self, body: Json, conversation: Conversation, script: Script) -> Json:
        reasoning = script.reasoning or f"The user is at turn {len(conversation.user_texts)}."
        asked = body.get("reasoning_effort", "none") != "none"
        if not (asked or self.thinks_unasked or script.reasoning):
            reasoning = ""
        calls = tool_calls(body, conversation, script)
        finish = "tool_calls" if calls else "stop"
        text = "" if calls else conversation.answer(script)
        stop = body.get("stop") or []
        for sequence in [stop] if isinstance(stop, str) else stop:
            text = text.partition(sequence)[0]
        text, capped = cap(text, body.get("max_completion_tokens") or body.get("max_tokens"))
        message: Json = {"role": "assistant", "content": text or None, "refusal": None}
        if reasoning:
            message[self.reasoning_name] = reasoning
        if calls:
            message["tool_calls"] = calls
        thinking_tokens = len(words(reasoning))
        output = len(words(text)) + 5 * len(calls) + thinking_tokens
        total_input = conversation.input_tokens + script.cached
        usage = {
            "prompt_tokens": total_input,
            "completion_tokens": output,
            "total_tokens": total_input + output,
            "prompt_tokens_details": {"cached_tokens": script.cached},
            "completion_tokens_details": {"reasoning_tokens": thinking_tokens},
        }
        digest = hashlib.sha256(repr(body).encode()).hexdigest()[:24]
        choice = {"index": 0, "message": message, "logprobs": None}
        completion: Json = {
            "id": f"chatcmpl-{digest}",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": body["model"],
            "choices": [{**choice, "finish_reason": "length" if capped else finish}],
            "usage": usage,
        }
        if script.no_usage:
            del completion["usage"]
        return completion

    def _chunks(self, completion: Json, usage_asked: bool) -> list[Json]:
        """The completion as the stream that folds back to it."""
        choice = completion["choices"][0]
        message: Json = choice["message"]
        deltas: list[Json] = [{"role": "assistant", "content": ""}]
        deltas += [
            {self.reasoning_name: piece} for piece in words(message.get(self.reasoning_name) or "")
        ]
        deltas += [{"content": piece} for piece in words(message["content"] or "")]
        for index, call in enumerate(message.get("tool_calls", [])):
            text = call["function"]["arguments"]
            opened = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
            deltas.append({"tool_calls": [opened]})
            for part in (text[: len(text) // 2], text[len(text) // 2 :]):
                fragment = {"index": index, "function": {"arguments": part}}
                deltas.append({"tool_calls": [fragment]})
        head = {
            "id": completion["id"],
            "object": "chat.completion.chunk",
            "created": completion["created"],
            "model": completion["model"],
        }
        tail: Json = {"usage": None} if usage_asked else {}
        ends: list[str | None] = [None] * len(deltas) + [choice["finish_reason"]]
        chunks = [
            {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}], **tail}
            for delta, end in zip([*deltas, {}], ends, strict=True)
        ]
        if usage_asked and "usage" in completion:
            chunks.append({**head, "choices": [], "usage": completion["usage"]})
        return chunks


def problem(
    status: int, message: str, param: str | None = None, code: str | None = None, **headers: str
) -> Reply:
    """An error as the vendor shapes it."""
    kind = ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Reply.of_json(status, {"error": error}, **headers)


def data(value: Json) -> bytes:
    """One server-sent event, which has no name in this protocol."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def tool_calls(body: Json, conversation: Conversation, script: Script) -> list[Json]:
    """The calls to make: as scripted, or one where the client forces it; none after a result."""
    offered = [tool["function"] for tool in body.get("tools", []) if tool["type"] == "function"]
    choice = body.get("tool_choice", "auto")
    if conversation.ends_with_tool_result or not offered or choice == "none":
        return []
    forced = isinstance(choice, dict) or choice == "required"
    count = script.tools or int(forced)
    if body.get("parallel_tool_calls") is False:
        count = min(count, 1)
    if isinstance(choice, dict):
        offered = [tool for tool in offered if tool["name"] == choice["function"]["name"]]
    return [
        {
            "id": f"call_{index:02}{len(conversation.user_texts):02}",
            "type": "function",
            "function": {
                "name": tool["name"],
                "arguments": json.dumps(sample(tool.get("parameters")), ensure_ascii=False),
            },
        }
        for index, tool in enumerate((offered * count)[:count])
    ]


def check(body: Json, strict: bool) -> Conversation:
    """Refuse what the vendor refuses (protocol notes B.2, B.3); follow the conversation."""
    for name in sorted(body.keys() - KNOWN_FIELDS) if strict else ():
        raise RefusedError(
            f"Unrecognized request argument supplied: {name}", name, "unknown_parameter"
        )
    if not isinstance(body.get("model"), str):
        raise RefusedError("you must provide a model parameter", "model")
    if "stream_options" in body and not body.get("stream"):
        raise RefusedError(
            "'stream_options' is only allowed when 'stream' is enabled", "stream_options"
        )
    for name in ("tool_choice", "parallel_tool_calls"):
        if name in body and not body.get("tools"):
            raise RefusedError(f"'{name}' is only allowed when 'tools' are specified", name)
    if isinstance(body.get("stop"), list) and len(body["stop"]) > 4:
        raise RefusedError("Invalid 'stop': array too long. Expected maximum length 4", "stop")
    for index, tool in enumerate(body.get("tools", [])):
        if tool["type"] == "function" and not FUNCTION_NAME.fullmatch(tool["function"]["name"]):
            raise RefusedError(f"Invalid 'tools[{index}].function.name'", f"tools[{index}]")
    if not body.get("messages"):
        raise RefusedError("Invalid 'messages': empty array", "messages", "empty_array")
    system, user, results, images = [], [], [], 0
    pending: set[str] = set()
    for index, message in enumerate(body["messages"]):
        where, role = f"messages.[{index}]", message["role"]
        if role not in ("system", "developer", "user", "assistant", "tool"):
            told = f"Invalid value for '{where}.role': {role!r}"
            raise RefusedError(told, f"{where}.role", "invalid_value")
        if pending and role != "tool":
            raise RefusedError(
                "An assistant message with 'tool_calls' must be followed by tool messages"
                f" responding to each 'tool_call_id': {', '.join(sorted(pending))}",
                f"{where}.role",
            )
        text, shown = _content(message, where)
        images += shown
        if role in ("system", "developer"):
            system.append(text)
        elif role == "user":
            user.append(text)
        elif role == "tool":
            if message["tool_call_id"] not in pending:
                raise RefusedError("'tool' must answer a preceding 'tool_calls'", f"{where}.role")
            pending.discard(message["tool_call_id"])
            results.append(text)
        else:
            pending = {call["id"] for call in message.get("tool_calls") or ()}
            if message.get("content") is None and not pending:
                raise RefusedError(
                    "Invalid value for 'content': expected a string", f"{where}.content"
                )
    if pending:
        raise RefusedError(
            f"tool_call_ids without response: {', '.join(sorted(pending))}", "messages"
        )
    last = body["messages"][-1]["role"]
    return Conversation("\n".join(system), user, results, last == "tool", images)


def _content(message: Json, where: str) -> tuple[str, int]:
    """The text of a message, and how many images it shows."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content, 0
    kinds = [part["type"] for part in content]
    allowed = (
        {"text", "image_url", "input_audio", "file"} if message["role"] == "user" else {"text"}
    )
    for kind in kinds:
        if kind not in allowed and not (kind == "refusal" and message["role"] == "assistant"):
            raise RefusedError(f"Invalid value: {kind!r}", f"{where}.content", "invalid_value")
    texts = [part["text"] for part in content if part["type"] == "text"]
    return " ".join(texts), kinds.count("image_url")


if __name__ == "__main__":
    from tests.fakes.http_server import serve_command

    serve_command(ChatUpstream())
