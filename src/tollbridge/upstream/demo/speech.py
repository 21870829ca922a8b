"""The sentences the demo model knows. It is honest about what it is and quotes the conversation."""

import re
from collections.abc import Sequence
from fractions import Fraction

HEAD = 4_000
"""Characters of a text in which a rule looks for its words: a search has to end soon."""

_COUNT_MAX = 1_000
_QUOTE_MAX = 160
_REPEATED_MAX = 20_000

_WHAT_I_AM = "I am Tollbridge's built-in demo model, not a language model"
_HELLO = (
    f"Hello! {_WHAT_I_AM}: I answer from a few fixed rules, so that you can see the gateway work "
    "before you connect a real one. Ask me to introduce myself, to count to 10 or what 6 * 7 is, "
    "or send `[demo: help]`."
)
_INTRODUCTION = (
    f"{_WHAT_I_AM}. I run inside the gateway's own process and need neither a key nor a network. "
    "I stream my answer piece by piece, keep to max_tokens and stop sequences, call the tools you "
    "offer me, follow the conversation, and count every token, so what you see on your balance is "
    "what a real model's tokens would do there. With directives such as `[demo: fail 429]` I also "
    "break on purpose, for testing clients; `[demo: help]` lists them. Connect a real model when "
    "you need one that knows things."
)
# Chinese has its own commas: ruff takes them for Latin ones gone wrong.
_HELLO_CHINESE = (
    "你好！我是 Tollbridge 内置的演示模型，不是真正的语言模型：我只按几条固定的规则回答，"  # noqa: RUF001
    "让你在接入真实模型之前先看到网关的运行。发送 `[demo: help]` 可以查看测试指令。"
)
_POEM = (
    'Li Bai\'s most famous poem is "Quiet Night Thought" (静夜思):\n\n'
    "床前明月光，\n疑是地上霜。\n举头望明月，\n低头思故乡。\n\n"  # noqa: RUF001
    "The moonlight before the bed looks like frost on the ground; the poet lifts his head to the "
    "moon and, lowering it, thinks of home."
)
_POEM_BACKGROUND = (
    'Tradition dates "Quiet Night Thought" to about 726, when Li Bai, in his twenties, had left '
    "home and lay ill in an inn at Yangzhou: hence the moon, the frost and the thought of home."
)
_HAIKU = "Packets cross the bridge,\none small toll for every word.\nThe ledger stays true."

_STOCK = (
    "the",
    "toll",
    "is",
    "paid",
    "before",
    "a",
    "token",
    "crosses",
    "and",
    "kept",
    "in",
    "sum",
)

_ROLE = re.compile(
    r"\b(?:You are|You're|Act as|Speak|(?:Always )?(?:respond|answer|reply|write) "
    r"(?:in|as|like|with|only|briefly)|Use a)\b[^.!?\n]{1,120}[.!?]?",
    re.IGNORECASE,
)
_ECHO = re.compile(
    r"(?:please\s+)?(?:(?:repeat(?: after me)?|echo|say)\s*:\s*"
    r"|(?:reply|respond|answer) with (?:exactly|only|just|the (?:single )?word)\b:?\s*)(.+)",
    re.IGNORECASE | re.DOTALL,
)
_COUNT = re.compile(r"\bcount (?:from (?:1|one) )?(?:up )?to (\d{1,6})\b", re.IGNORECASE)
_SUM = re.compile(
    r"\d{1,15}(?:\.\d{1,9})?(?:\s*[-+*/x\u00d7\u00f7]\s*\d{1,15}(?:\.\d{1,9})?){1,20}"
)
_ASKS_SUM = re.compile(
    r"^(?:(?:please )?(?:what(?:'s| is)|calculate|compute|how much is|work out)\b\s*)?"
    r"([^a-wyz]+)$",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    r"what (?:did|have) I (?:just )?(?:say|said|ask|asked|tell|told)\b|my (?:last|previous|first) "
    r"(?:message|question)",
    re.IGNORECASE,
)
_BACK = re.compile(
    r"\b(?:that|this|it|its|those|these|earlier|before|again|previous|more)\b", re.IGNORECASE
)
_GREETING = re.compile(r"(?:hi|hello|hey|good (?:morning|evening|day)|ping|test)\b", re.IGNORECASE)
_KNOWN = (
    (re.compile(r"介绍.{0,4}自己|你是谁|^(?:你好|您好|嗨)"), _HELLO_CHINESE),
    (
        re.compile(
            r"\b(?:introduce yourself|who are you|what are you|what can you do"
            r"|tell me about yourself|which model|what model)\b",
            re.IGNORECASE,
        ),
        _INTRODUCTION,
    ),
    (re.compile(r"Li Bai\b.*\bpoem|李白.*诗", re.IGNORECASE | re.DOTALL), _POEM),
    (re.compile(r"\b(?:write|compose|give me|tell me)\b.*\b(?:poem|haiku)", re.IGNORECASE), _HAIKU),
)
"""What it has a sentence for; the first that fits is said."""

Turns = Sequence[tuple[str, str]]
"""The conversation before the last message: role and text of each turn that has text."""


def answer(said: str, earlier: Turns, system: str, attachments: int) -> str:
    """The answer to what was said.

    Args:
        said: the last message's text without directives.
        earlier: the turns before it.
        system: the system prompt; its role or style is acknowledged in prose answers.
        attachments: how many pictures and documents the last message brings.
    """
    echoed = _echo(said)
    said = said[:HEAD]
    exact = echoed or _count(said) or _sum(said)
    if exact:
        return exact
    text = _about_conversation(said, earlier) or _known(said, earlier) or _fallback(said, earlier)
    if attachments:
        text = (
            f"You sent {attachments} attachment{'s'[: attachments > 1]}, which I cannot see. {text}"
        )
    role = _ROLE.search(system[:HEAD])
    if role and not earlier:
        text += f'\n\n(My system prompt says: "{role[0].strip()}" A real model would act on it.)'
    return text


def result(tool: str, text: str, *, is_error: bool) -> str:
    """What is said of a tool's result."""
    text = _shortened(text)
    if is_error:
        return f"The tool {tool} failed: {text or 'it gave no reason'}"
    return f"The tool {tool} returned: {text}" if text else f"The tool {tool} returned nothing."


def filler(words: int) -> str:
    """That many words."""
    return " ".join(_STOCK[n % len(_STOCK)] for n in range(words))


def thought(said: str) -> str:
    """What is thought before answering."""
    about = f' "{quote(said)}"' if said else " nothing in words"
    return f"The user says{about}. I look for a rule that fits, and answer with what it gives."


def quote(text: str, at_most: int = _QUOTE_MAX) -> str:
    """The text on one line, shortened if need be."""
    line = " ".join(text[: at_most * 4].split())
    return line if len(line) <= at_most else f"{line[:at_most].rstrip()}…"


def _echo(said: str) -> str | None:
    found = _ECHO.match(said)
    return _shortened(found[1].strip().strip("\"'`")) or None if found else None


def _shortened(text: str) -> str:
    return text if len(text) <= _REPEATED_MAX else f"{text[:_REPEATED_MAX]}…"


def _count(said: str) -> str | None:
    found = _COUNT.search(said)
    return (
        ", ".join(str(n) for n in range(1, min(int(found[1]), _COUNT_MAX) + 1)) if found else None
    )


def _sum(said: str) -> str | None:
    asked = _ASKS_SUM.match(said.strip()[:400])
    found = _SUM.search(asked[1]) if asked else None
    if not found:
        return None
    value = _evaluate(found[0])
    expression = quote(found[0])
    if value is None:
        return f"{expression} divides by zero, which has no answer."
    exact = Fraction(str(float(value))) == value if abs(value) < 10**15 else value.denominator == 1
    number = str(value.numerator) if value.denominator == 1 else f"{float(value):.12g}"
    return f"{expression} {'=' if exact else '≈'} {number}"


def _evaluate(expression: str) -> Fraction | None:
    """Products before sums, from left to right; None: a division by zero."""
    parts = re.findall(r"[\d.]+|[-+*/x\u00d7\u00f7]", expression)
    total, product = Fraction(0), Fraction(parts[0])
    for sign, number in zip(parts[1::2], map(Fraction, parts[2::2]), strict=True):
        match sign:
            case "+" | "-":
                total, product = total + product, number if sign == "+" else -number
            case "/" | "÷" if not number:
                return None
            case "/" | "÷":
                product /= number
            case _:
                product *= number
    return total + product


def _about_conversation(said: str, earlier: Turns) -> str | None:
    if not _BEFORE.search(said):
        return None
    mine = [text for role, text in earlier if role == "user"]
    if not mine:
        return "This is the first thing you say in this conversation."
    which = mine[0] if re.search(r"\bfirst\b", said, re.IGNORECASE) else mine[-1]
    return f'You said: "{quote(which)}"'


def _known(said: str, earlier: Turns) -> str | None:
    """What there is a sentence for, or what came before can be quoted for."""
    for pattern, sentence in _KNOWN:
        if pattern.search(said):
            return sentence
    if _GREETING.match(said) and len(said) <= 40:
        return _HELLO
    if earlier and _BACK.search(said):
        return _follow_up(said, earlier)
    return None


def _follow_up(said: str, earlier: Turns) -> str:
    first = next((text for role, text in earlier if role == "user"), "")
    replied = next((text for role, text in reversed(earlier) if role == "assistant"), "")
    text = f'You first asked: "{quote(first)}"' if first else "You refer to what came before."
    if replied:
        text += f' My answer began: "{quote(replied, 80)}"'
    if re.search(r"background|history|story|written|mean", said) and "静夜思" in replied:
        return f"{text}\n\n{_POEM_BACKGROUND}"
    return f"{text}\n\n{_WHAT_I_AM}, so I can point back to it but not add to it."


def _fallback(said: str, earlier: Turns) -> str:
    if not said:
        return f"You sent no text. {_WHAT_I_AM}; send `[demo: help]` to see what I can do."
    turns = f" This is turn {len(earlier) // 2 + 1} of our conversation." if earlier else ""
    return (
        f'You said: "{quote(said)}"{turns} {_WHAT_I_AM}, so I have no real answer to that. '
        "I can greet, count, do sums, repeat, call tools and quote our conversation; "
        "`[demo: help]` lists what I can do for tests."
    )
