"""What has to be closed and opened between two kinds of content blocks (protocol notes C.9.3)."""

import enum


class Open(enum.Enum):
    """The kind of content block that is open, or wanted."""

    __hash__ = object.__hash__  # that of `Enum` is written in Python, and a key is looked up often

    NOTHING = enum.auto()
    THINKING = enum.auto()
    TEXT = enum.auto()
    CALLS = enum.auto()


class Step(enum.Enum):
    """What is done on the way from one kind of block to another."""

    OPEN_THINKING = enum.auto()
    OPEN_TEXT = enum.auto()
    CLOSE_THINKING = enum.auto()
    CLOSE_TEXT = enum.auto()
    CLOSE_CALLS = enum.auto()


STEPS: dict[tuple[Open, Open], tuple[Step, ...]] = {
    # Open, wanted: steps. Calls open one by one as their names become known.
    (Open.NOTHING, Open.NOTHING): (),
    (Open.NOTHING, Open.THINKING): (Step.OPEN_THINKING,),
    (Open.NOTHING, Open.TEXT): (Step.OPEN_TEXT,),
    (Open.NOTHING, Open.CALLS): (),
    (Open.THINKING, Open.NOTHING): (Step.CLOSE_THINKING,),
    (Open.THINKING, Open.THINKING): (),
    (Open.THINKING, Open.TEXT): (Step.CLOSE_THINKING, Step.OPEN_TEXT),
    (Open.THINKING, Open.CALLS): (Step.CLOSE_THINKING,),
    (Open.TEXT, Open.NOTHING): (Step.CLOSE_TEXT,),
    (Open.TEXT, Open.THINKING): (Step.CLOSE_TEXT, Step.OPEN_THINKING),
    (Open.TEXT, Open.TEXT): (),
    (Open.TEXT, Open.CALLS): (Step.CLOSE_TEXT,),
    (Open.CALLS, Open.NOTHING): (Step.CLOSE_CALLS,),
    (Open.CALLS, Open.THINKING): (Step.CLOSE_CALLS, Step.OPEN_THINKING),
    (Open.CALLS, Open.TEXT): (Step.CLOSE_CALLS, Step.OPEN_TEXT),
    (Open.CALLS, Open.CALLS): (),
}
