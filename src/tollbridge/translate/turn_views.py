"""Views of bodies of either protocol: the members that have one name and place in both."""

from msgspec import Raw, Struct


class Spoken(Struct):
    """A turn of a request, or a message: what it says."""

    content: Raw = Raw(b"null")


class Turns(Struct):
    """A request: its turns."""

    messages: list[Spoken] = []


class TurnCall(Struct):
    """A call of a Chat turn."""

    id: str | None = None


class Turn(Struct):
    """A turn of a request, as far as its thinking matters."""

    role: str = ""
    content: Raw = Raw(b"null")
    tool_calls: list[TurnCall] | None = None
    reasoning_details: Raw = Raw(b"null")


class UsageHolder(Struct):
    """A message or a choice that may hold the usage."""

    usage: Raw = Raw(b"null")


class UsageReport(Struct):
    """Where the two protocols put it: at the top, in the started message, in a choice."""

    usage: Raw = Raw(b"null")
    message: UsageHolder | None = None
    choices: list[UsageHolder] | None = None
