"""A notation for conversations: `>>` is what comes in, `<<` is what must go out.

    Why the model must be told its own thinking again.        words, up to the first line below

    == messages on chat (deepseek, model-x)                   client on upstream (dialect, model)
    == messages on chat (vllm, up, system messages merge)   and the choice of the operator

    >> client request                                         one JSON value
    << upstream request                                       one JSON value
    << dropped                                                names
    >> upstream answer                                        one JSON value: the one-shot answer
    << client answer                                          one JSON value
    << charge                                                 what the tariff says of the exchange
    >> upstream stream                                        one event in a line, `(end)` is the end
    << client stream                                          the events that go out meanwhile

The text is played against a bridge, and what really went out is set in the places of what was
expected; if the two conversations differ, the diff of the whole is the failure. What goes out and
is not in the text is a difference, and so is a `<<` that never comes. A stream without its `(end)`
is an unfinished playbook, which is an error too.

A string `"$name"` in a `<<` stands for any value and remembers it; later on, in either direction,
it is that value. So a second request can bring back what the first answer gave.

Where the gateway asks for a stream to give one answer, that answer comes after `(end)`.

A stream of the same request may follow an answer: the request is then sent once more with
`stream`, and must be the same otherwise. Lines of a stream: a Messages event is its data (its name
must be its type); a chunk of Chat is its delta, `finish_reason` and what else is unusual, while the
envelope that all chunks share is checked and left out. `raw '...'` is bytes as a Python literal,
`(silence)` is a time in which nothing comes, `(end)` the end of the upstream's bytes.
"""

import difflib
import json
import re
from typing import Any, NamedTuple

from tests.stage import END, HEAD, Stage, compact

WIDTH = 100
_STEP = re.compile(r"(>>|<<) ([a-z ]+)")


class Step(NamedTuple):
    """One line of the notation with what stands below it."""

    arrow: str
    title: str
    lines: list[Any]
    """JSON values, and words that are none."""

    def text(self) -> str:
        """The step as it is written in a file."""
        body = self.lines
        if not self.title.endswith("stream") and self.title not in ("dropped", "charge"):
            shown = [pretty(value) for value in body]
        else:
            shown = [line if isinstance(line, str) else compact(line) for line in body]
        return "\n".join([f"{self.arrow} {self.title}", *shown, ""])


class UnfinishedError(AssertionError):
    """The playbook stops in the middle of a stream."""


class Playbook:
    """A conversation read from its text."""

    def __init__(self, text: str) -> None:
        self.words: list[str] = []
        self.parts: list[str | Step] = []
        """Heads (`== ...`) and steps in order."""
        for block in re.split(r"\n(?=== |>> |<< )", f"\n{text}"):
            first, _, rest = block.strip("\n").partition("\n")
            step = _STEP.fullmatch(first)
            if step:
                self.parts.append(Step(step[1], step[2], _read(step[2], rest)))
            elif HEAD.fullmatch(first):
                self.parts.append(first)
            elif not self.parts:
                self.words.append(block.strip("\n"))
            else:
                raise ValueError(f"this is neither a step nor a head: {first!r}")

    def play(self) -> str:
        """Play it; gives the whole conversation with what really went out."""
        stage = Stage()
        played: list[str | Step] = []
        expected: list[Step] = []
        for part in self.parts:
            if isinstance(part, str):
                _settle(stage, expected, played)
                expected = []
                stage.set_pair(part)
                played.append(part)
            elif part.arrow == "<<":
                expected.append(part)
            else:
                _settle(stage, expected, played)
                expected = []
                given = [stage.filled(line) for line in part.lines]
                stage.take(part.title, given)
                played.append(part)
        _settle(stage, expected, played)
        if stage.stream is not None:
            raise UnfinishedError(f"the last stream has no {END}")
        return self._shown(played)

    def check(self) -> None:
        """Play it and compare.

        Raises:
            AssertionError: with the diff of the whole conversation.
        """
        wanted, got = self._shown(self.parts), self.play()
        if wanted != got:
            lines = difflib.unified_diff(
                wanted.splitlines(), got.splitlines(), "expected", "played", n=200, lineterm=""
            )
            raise AssertionError("\n".join(["the conversation went differently:", *lines]))

    def _shown(self, parts: list[str | Step]) -> str:
        shown = [part.text() if isinstance(part, Step) else f"{part}\n" for part in parts]
        return "\n".join([*(f"{words}\n" for words in self.words if words), *shown])


def play(text: str) -> None:
    """Play a conversation that is written in a test."""
    Playbook("\n".join(line.removeprefix("    ") for line in text.splitlines())).check()


def _settle(stage: Stage, expected: list[Step], played: list[str | Step]) -> None:
    """Put what went out since the last `>>` into the conversation, placeholders restored."""
    wanted = {step.title: step for step in expected}
    for title, lines in stage.sent:
        likes = wanted[title].lines if title in wanted else []
        played.append(Step("<<", title, _matched(stage.values, likes, lines)))
    stage.sent = []


def _matched(values: dict[str, Any], like: Any, value: Any) -> Any:
    """The value, with a placeholder of `like` where it holds; captures what is new."""
    if isinstance(like, str) and re.fullmatch(r"\$\w+", like):
        return like if values.setdefault(like, value) == value else value
    if isinstance(like, dict) and isinstance(value, dict):
        return {name: _matched(values, like.get(name), inner) for name, inner in value.items()}
    if isinstance(like, list) and isinstance(value, list):
        padded = [*like, *[None] * len(value)]
        return [_matched(values, padded[index], inner) for index, inner in enumerate(value)]
    return value


def _read(title: str, body: str) -> list[Any]:
    """What stands below a step's line."""
    body = body.strip("\n")
    if title in ("dropped", "charge"):
        return body.split("\n")
    if title.endswith("stream"):
        return [_read_line(line) for line in body.split("\n") if line.strip()]
    return [json.loads(body)] if body else []


def _read_line(line: str) -> Any:
    return json.loads(line) if line.startswith("{") else line


def pretty(value: Any, indent: int = 0, before: int = 0) -> str:
    """JSON that breaks only what does not fit into a line, of which `before` is taken."""
    flat = compact(value)
    if indent + before + len(flat) < WIDTH or not isinstance(value, dict | list) or not value:
        return flat
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        names = [f"{compact(name)}: " for name in value]
        pairs = zip(names, value.values(), strict=True)
        shown = [name + pretty(item, indent + 2, len(name)) for name, item in pairs]
    else:
        shown = [pretty(item, indent + 2) for item in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return f"{start}\n{inner}" + f",\n{inner}".join(shown) + f"\n{' ' * indent}{end}"
