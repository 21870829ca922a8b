"""What the demo model says: a pure function of the request, the same answer to the same request."""

import base64
import hashlib
import re
from collections.abc import Iterable

import msgspec

from tollbridge.upstream.demo import directives, speech, tokens
from tollbridge.upstream.demo.arguments import arguments, instance
from tollbridge.upstream.demo.directives import Orders
from tollbridge.upstream.demo.plan import (
    Block,
    Call,
    Failure,
    Manner,
    Plan,
    StopReason,
    Text,
    Thought,
)
from tollbridge.upstream.demo.request import (
    Message,
    OtherBlock,
    Prompt,
    Tool,
    ToolResultBlock,
    ToolUseBlock,
)

_PARALLEL_MAX = 16
_PLAIN_WORD_TOOLS_MAX = 8
"""With more tools than this a coding agent is asking, whose tools are called Read and Write."""

_ALL_TOOLS = re.compile(
    r"\b(?:both|all|every|each)(?: of)?(?: the| your| these)? tools?\b|\bin parallel\b",
    re.IGNORECASE,
)
_ANY_TOOL = re.compile(r"\b(?:use|call|run|invoke) (?:a|the|your|any|one) tools?\b", re.IGNORECASE)
_VERBS = {"get", "set", "fetch", "do", "make", "run", "call", "mcp", "tool", "the", "a", "of"}


def think(prompt: Prompt, seed: bytes) -> Plan | Failure:
    """Decide what to answer.

    Args:
        prompt: a request that keeps the rules.
        seed: makes the tool calls' ids; the same for the same request.
    """
    scene = _Scene(prompt)
    orders = scene.orders
    if orders.fail_status is not None:
        return Failure(orders.fail_status, "This error was asked for with a [demo: fail] directive")
    if orders.fail_midstream and not prompt.stream:
        return Failure(529, "This error was asked for with [demo: fail midstream]")
    blocks: list[Block] = []
    reason: StopReason = "end_turn"
    if not orders.empty:
        blocks += _thoughts(scene)
        calls = [] if orders.refuse else _calls(scene, seed)
        if calls:
            blocks += calls
            reason = "tool_use"
        else:
            blocks.append(Text(tuple(tokens.split(_words(scene)))))
    if orders.refuse:
        reason = "refusal"
    match = None
    if prompt.stop_sequences:
        blocks, match = _stop(blocks, prompt.stop_sequences)
        reason = "stop_sequence" if match else reason
    limit = _limit(blocks, orders, prompt.max_tokens or 0)
    if limit < sum(map(_cost, blocks)) or prompt.max_tokens == 0:
        blocks, reason, match = _cut(blocks, limit), "max_tokens", None
    return Plan(
        model=prompt.model,
        blocks=tuple(b for b in blocks if not isinstance(b, Text) or b.pieces),
        stop_reason=reason,
        stop_sequence=match,
        input_tokens=prompt.input_tokens,
        output_tokens=sum(map(_cost, blocks)),
        thinking_tokens=sum(_cost(b) for b in blocks if isinstance(b, Thought)),
        manner=_manner(orders),
    )


class _Scene:
    """The request as the mind sees it: what was said last, what before, what is ordered."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        spoken = [message for message in prompt.messages if message.role != "system"]
        self.prefill = ""
        while spoken[-1].role == "assistant":
            self.prefill = spoken.pop().text + self.prefill
        start = len(spoken)
        while start and spoken[start - 1].role == "user":
            start -= 1
        last = spoken[start:]
        self.orders, self.said = directives.read(_joined(last))
        self.head = self.said[: speech.HEAD]
        self.earlier = _turns(spoken[:start])
        self.results = [b for m in last for b in m.blocks if isinstance(b, ToolResultBlock)]
        others = [b for m in last for b in m.blocks if isinstance(b, OtherBlock)]
        self.attachments = sum(block.kind in {"image", "document"} for block in others)
        self.tool_names = {
            block.id: block.name
            for message in spoken
            for block in message.blocks
            if isinstance(block, ToolUseBlock)
        }
        self.system = "\n".join(
            [prompt.system, *(m.text for m in prompt.messages if m.role == "system")]
        )


def _joined(messages: Iterable[Message]) -> str:
    return "\n".join(text for text in (_typed(message.text) for message in messages) if text)


def _typed(text: str) -> str:
    """Without the reminders that a coding agent puts between the user's words."""
    first, *rest = text.split("<system-reminder>")
    return (first + "".join(part.partition("</system-reminder>")[2] for part in rest)).strip()


def _turns(messages: list[Message]) -> list[tuple[str, str]]:
    """Consecutive messages of one role are one turn; turns without text are left out."""
    turns: list[tuple[str, str]] = []
    for message in messages:
        text = directives.read(_typed(message.text))[1]
        if not text:
            continue
        if turns and turns[-1][0] == message.role:
            turns[-1] = (message.role, f"{turns[-1][1]}\n{text}")
        else:
            turns.append((message.role, text))
    return turns


def _manner(orders: Orders) -> Manner:
    return Manner(
        pace_ms=orders.pace_ms,
        stall_s=orders.stall_s,
        breaks="cut" if orders.cut else "error" if orders.fail_midstream else "no",
    )


def _thoughts(scene: _Scene) -> list[Block]:
    thinking, orders = scene.prompt.thinking, scene.orders
    asked = thinking.type in {"enabled", "adaptive"} or (
        thinking.type == "between_tools" and bool(scene.results)
    )
    if not asked and not orders.think_unasked:
        return []
    text = speech.thought(scene.said)
    if orders.thinking_words:
        text = f"{text} {speech.filler(orders.thinking_words)}"
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    signature = base64.b64encode(b"tollbridge-demo:" + digest).decode()
    return [Thought(tuple(tokens.split(text)), signature, shown=thinking.display != "omitted")]


def _words(scene: _Scene) -> str:
    """The text of the answer."""
    orders = scene.orders
    if orders.refuse:
        text = "I cannot help with that. (You asked for this refusal.)"
    elif scene.prompt.schema is not None:
        text = msgspec.json.encode(instance(scene.prompt.schema, scene.head)).decode()
    elif orders.help:
        rows = "\n".join(f"- `[demo: {name}]`: {effect}" for name, effect in directives.HELP)
        text = f"Directives, in the last user message, in any combination:\n{rows}"
    elif orders.unknown:
        names = ", ".join(f"[demo: {speech.quote(name)}]" for name in orders.unknown)
        text = f"I know no directive {names}. `[demo: help]` lists those there are."
    elif orders.words:
        text = speech.filler(orders.words)
    elif orders.tools or orders.tool_cut:
        text = f"The tool {speech.quote(' '.join(orders.tools)) or '(any)'} is not offered."
    elif scene.results:
        text = "\n".join(
            speech.result(scene.tool_names[r.tool_use_id], r.text, is_error=r.is_error)
            for r in scene.results
        )
    else:
        text = speech.answer(scene.said, scene.earlier, scene.system, scene.attachments)
    return text.removeprefix(scene.prefill) if scene.prefill else text


def _calls(scene: _Scene, seed: bytes) -> list[Block]:
    calls: list[Block] = []
    for index, tool in enumerate(_wanted(scene)):
        digest = hashlib.sha256(seed + index.to_bytes(4, "big")).hexdigest()
        text = msgspec.json.encode(arguments(tool.input_schema or {}, scene.head)).decode()
        assert tool.name is not None, "only tools with a name are called"
        pieces = tuple(tokens.split(text))
        calls.append(Call(f"toolu_demo{digest[:20]}", tool.name, pieces, whole=True))
    return calls


def _wanted(scene: _Scene) -> list[Tool]:
    """The tools to call now: ordered, forced, or asked for in words."""
    choice, orders = scene.prompt.tool_choice, scene.orders
    offered = [tool for tool in scene.prompt.tools if tool.name]
    if choice.type == "none" or not offered:
        return []
    if choice.type == "tool":
        return [tool for tool in offered if tool.name == choice.name]
    most = 1 if choice.disable_parallel_tool_use else _PARALLEL_MAX
    ordered = [tool for tool in offered if tool.name in orders.tools]
    if ordered or orders.tools:
        return ordered[:most] or (offered[:1] if choice.type == "any" else [])
    # What answers `auto` has to be the client's to run: a server tool has no schema of its own.
    ours = [tool for tool in offered if tool.input_schema is not None]
    named = [tool for tool in ours if _names(tool.name or "", scene.head, len(ours))]
    if _ALL_TOOLS.search(scene.head):
        named = ours
    elif not named and (orders.tool_cut or _ANY_TOOL.search(scene.head)):
        named = ours[:1]
    if choice.type == "any":
        return (named or ours or offered)[: most if named else 1]
    return [] if scene.results else named[:most]


def _names(tool: str, said: str, offered: int) -> bool:
    """Whether the words ask for this tool: by its name, or by all that its name is made of."""
    if tool.lower() in said.lower():
        name = re.escape(tool)
        if re.search(
            rf"\b(?:use|call|run|invoke) (?:the )?{name}\b|`{name}`|\b{name} tool\b",
            said,
            re.IGNORECASE,
        ):
            return True
    parts = [part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+", tool)]
    if len(parts) == 1 and offered > _PLAIN_WORD_TOOLS_MAX:
        return False
    words = set(re.findall(r"[a-z0-9]+", said.lower()))
    telling = [part for part in parts if part not in _VERBS]
    return bool(telling) and all(part in words or f"{part}s" in words for part in telling)


def _stop(blocks: list[Block], sequences: tuple[str, ...]) -> tuple[list[Block], str | None]:
    """Cut the text before the stop sequence that is complete first; drop what follows.

    Thinking and the JSON of tools are not searched (protocol notes C.9.14).
    """
    for index, block in enumerate(blocks):
        if not isinstance(block, Text):
            continue
        text = "".join(block.pieces)
        found = [(text.find(s) + len(s), s) for s in sequences if s in text]
        if found:
            end, sequence = min(found)
            kept = Text(tuple(tokens.split(text[: end - len(sequence)])))
            return [*blocks[:index], kept], sequence
    return blocks, None


def _limit(blocks: list[Block], orders: Orders, max_tokens: int) -> int:
    """The tokens that may be said: `max_tokens`, or half of the first call if that is ordered."""
    before = 0
    for block in blocks if orders.tool_cut else ():
        if isinstance(block, Call):
            return min(max_tokens, before + _cost(block) - (len(block.pieces) + 1) // 2)
        before += _cost(block)
    return max_tokens


def _cut(blocks: list[Block], limit: int) -> list[Block]:
    """What fits. A call whose name does not fit is left out."""
    kept: list[Block] = []
    for block in blocks:
        fixed = _cost(block) - len(block.pieces)
        if limit <= fixed:
            break
        pieces = block.pieces[: limit - fixed]
        limit -= fixed + len(pieces)
        if isinstance(block, Call):
            kept.append(block._replace(pieces=pieces, whole=pieces == block.pieces))
        else:
            kept.append(block._replace(pieces=pieces))
    return kept


def _cost(block: Block) -> int:
    name = tokens.count(block.name) if isinstance(block, Call) else 0
    return name + len(block.pieces)
