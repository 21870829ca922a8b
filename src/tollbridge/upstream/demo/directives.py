"""What a client author orders with `[demo: ...]` in the last user message."""

import re

import msgspec

HELP = (
    ("help", "list these directives"),
    ("think", "think first, if the request turned thinking on"),
    ("think unasked", "think first, even if it did not"),
    ("long-thinking", "like think, at length"),
    ("tool NAME", "call this tool, if it is offered"),
    ("tool cut", "stop at max_tokens in the middle of a tool call's JSON"),
    ("words N", "N words of filler, at most 20000"),
    ("pace MS", "milliseconds before each piece of a stream, at most 10000"),
    ("stall S", "no byte for S seconds in the middle, at most 600"),
    ("empty", "an answer without content"),
    ("refuse", "stop_reason refusal"),
    ("fail STATUS", "an HTTP error, 400 to 599"),
    ("fail midstream", "some text, then an error event (one-shot: status 529)"),
    ("cut", "the connection breaks in the middle"),
)
"""Every directive with what it does: the answer to `[demo: help]`, and the rows of the docs."""

_WORDS_MAX = 20_000
_PACE_MS_MAX = 10_000
_STALL_S_MAX = 600
_THINKING_WORDS = 300

_DIRECTIVE = re.compile(r"\[demo:([^\[\]\n]{1,160})\]", re.IGNORECASE)


class Orders(msgspec.Struct):
    """The directives of one message, put together."""

    help: bool = False
    think_unasked: bool = False
    thinking_words: int = 0
    tools: tuple[str, ...] = ()
    tool_cut: bool = False
    words: int = 0
    pace_ms: float | None = None
    stall_s: float = 0
    empty: bool = False
    refuse: bool = False
    fail_status: int | None = None
    fail_midstream: bool = False
    cut: bool = False
    unknown: tuple[str, ...] = ()


def read(text: str) -> tuple[Orders, str]:
    """The orders in a message, and the message without them."""
    orders = Orders()
    for directive in _DIRECTIVE.findall(text):
        word, _, rest = directive.strip().partition(" ")
        if not _obey(orders, word.lower(), rest.strip()):
            orders.unknown += (directive.strip(),)
    return orders, _DIRECTIVE.sub("", text).strip()


def _obey(orders: Orders, word: str, rest: str) -> bool:
    """Note one directive. False: there is no such directive."""
    number = _number(rest)
    match word, rest.lower():
        case "help", "":
            orders.help = True
        case "think", "":
            pass  # Thinking that was asked for is done anyway.
        case "think", "unasked":
            orders.think_unasked = True
        case "long-thinking", "" | "unasked":
            orders.thinking_words = _THINKING_WORDS
            orders.think_unasked |= bool(rest)
        case "tool", "cut":
            orders.tool_cut = True
        case "tool", name if name:
            orders.tools += (rest,)
        case "words", _ if number is not None:
            orders.words = min(int(number), _WORDS_MAX)
        case "pace", _ if number is not None:
            orders.pace_ms = min(number, _PACE_MS_MAX)
        case "stall", _ if number is not None:
            orders.stall_s = min(number, _STALL_S_MAX)
        case "empty", "":
            orders.empty = True
        case "refuse", "":
            orders.refuse = True
        case "fail", "midstream":
            orders.fail_midstream = True
        case "fail", _ if number is not None and 400 <= number <= 599:
            orders.fail_status = int(number)
        case "cut", "":
            orders.cut = True
        case _:
            return False
    return True


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", text) else None
