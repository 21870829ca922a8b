"""Chat chunks to feed and Messages events to read, for the tests of this folder."""

from typing import Any

import msgspec

from tollbridge.translate.answer_terms import AnswerTerms
from tollbridge.translate.bridge import Ask, Identity, UpstreamTerms
from tollbridge.translate.messages_on_chat import MessagesOnChat
from tollbridge.translate.stream_to_messages import StreamToMessages
from tollbridge.translate.tool_names import ToolNames
from tollbridge.wire.messages.events import Event
from tollbridge.wire.messages.fold import fold
from tollbridge.wire.messages.responses import Message
from tollbridge.wire.sse import SSEDecoder

DONE = b"data: [DONE]\n\n"
IDENTITY = Identity("req_1", "abc", 1_700_000_000, b"key")

Json = dict[str, Any]


def answer(**changes: Any) -> AnswerTerms:
    base = AnswerTerms("claude-x", "req_1", "abc", 7, ToolNames(64), thinking=True)
    return base._replace(**changes)


def chunk(delta: Json | None = None, finish: str | None = None, **members: Any) -> bytes:
    usage = members.pop("usage", None)
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish, **members}
    body = {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}
    return data({**body, "usage": usage} if usage else body)


def data(value: object) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(value)


def text(content: str) -> bytes:
    return chunk({"content": content})


def thought(content: str) -> bytes:
    return chunk({"reasoning_content": content})


def call(index: int | None, arguments: str | None = None, *, id: str = "", name: str = "") -> Json:  # noqa: A002
    piece: Json = {"function": {}}
    if index is not None:
        piece["index"] = index
    if id:
        piece["id"] = id
    if name:
        piece["function"]["name"] = name
    if arguments is not None:
        piece["function"]["arguments"] = arguments
    return piece


def calls(*pieces: Json, finish: str | None = None) -> bytes:
    return chunk({"tool_calls": list(pieces)}, finish)


def events_of(written: bytes) -> list[Json]:
    """Decode events, checking that each is named by its type."""
    decoded = []
    for event in SSEDecoder().feed(written):
        value = msgspec.json.decode(event.data)
        assert event.event == value["type"]
        decoded.append(value)
    return decoded


def translate(*pieces: bytes, of: AnswerTerms | None = None) -> list[Json]:
    """The events that a stream becomes, checked for the order that clients rely on."""
    stream = StreamToMessages(of or answer())
    written = b"".join([*(stream.feed(piece) for piece in pieces), stream.close()])
    events = events_of(written)
    check_order(events)
    return events


def check_order(events: list[Json]) -> None:
    """Protocol notes A.7: blocks one after another, indices dense, one end."""
    kinds = [event["type"] for event in events if event["type"] != "ping"]
    assert kinds.count("message_start") <= 1
    opened: int | None = None
    following = 0
    for event in events:
        if event["type"] == "content_block_start":
            assert opened is None
            assert event["index"] == following
            opened, following = following, following + 1
        elif event["type"] == "content_block_delta":
            assert event["index"] == opened
        elif event["type"] == "content_block_stop":
            assert event["index"] == opened
            opened = None
    if "error" in kinds:
        assert kinds.index("error") == len(kinds) - 1
        assert "message_stop" not in kinds
    else:
        assert opened is None
        assert kinds[0] == "message_start"
        assert kinds[-2:] == ["message_delta", "message_stop"]
        assert kinds.count("message_delta") == 1


def folded(*pieces: bytes, of: AnswerTerms | None = None) -> Message:
    """The message that the translated stream adds up to."""
    events = translate(*pieces, of=of)
    return fold(events_as_structs(events))


def events_as_structs(events: list[Json]) -> list[Event]:
    return [msgspec.json.decode(msgspec.json.encode(event), type=Event) for event in events]


def shape(message: Message) -> list[tuple[str, str]]:
    """Each block's type with its text, thinking or call."""
    out = []
    for block in message.content:
        if block.type == "tool_use":
            out.append((f"{block.name}", bytes(block.input).decode()))
        else:
            out.append((block.type, block.text or block.thinking or block.data or ""))
    return out


def ask(**changes: Any) -> Ask:
    members = {"model": "claude-x", "stream": False, "max_tokens": 100, "thinking": True}
    return Ask(**{**members, "input_estimate": 7, **changes})


def chat_request(body: Json, dialect: str = "generic", **terms: Any) -> Json:
    """The Chat request that a Messages body becomes."""
    return bridged(body, dialect, **terms)[0]


def bridged(body: Json, dialect: str = "generic", **terms: Any) -> tuple[Json, MessagesOnChat]:
    whole = {"model": "claude-x", "max_tokens": 100, "messages": [user("Hi")], **body}
    bridge = MessagesOnChat(ask(), msgspec.json.encode(whole), IDENTITY)
    sent = bridge.request(UpstreamTerms("up", dialect, terms.get("max_tokens", 100)))
    return msgspec.json.decode(sent), bridge


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def assistant(*blocks: Any) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def tool_use(id: str, name: str = "f", input: Any = None) -> Json:  # noqa: A002
    return {"type": "tool_use", "id": id, "name": name, "input": input or {}}


def tool_result(id: str, content: Any = "ok", **members: Any) -> Json:  # noqa: A002
    return {"type": "tool_result", "tool_use_id": id, "content": content, **members}


def block(content: str) -> Json:
    return {"type": "text", "text": content}
