"""Any Chat stream becomes one completion that a decoder of completions takes, or an error."""

import msgspec

from fuzz.corpus import CHAT_DETAILS, CHAT_ERROR, CHAT_STREAM
from fuzz.target import ALLOWANCE, GROWTH, Target, check_stream
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.gathered_completion import GatheredCompletion

ASK = Ask(model="m", stream=False, max_tokens=None, thinking=True, input_estimate=7)


def check(data: bytes) -> None:
    """Whole and cut; the completion has choices that have ended."""
    opened: list[GatheredCompletion] = []

    def start() -> GatheredCompletion:
        opened.append(GatheredCompletion(ASK, Identity("req_1", "abc", 7)))
        return opened[-1]

    check_stream(start, data)
    bodies = [one.reply().body for one in opened if one.finished]
    for body in bodies:
        completion = msgspec.json.decode(body)
        assert all(choice["finish_reason"] for choice in completion["choices"])
        assert len(body) <= GROWTH * len(data) + ALLOWANCE
    assert len(set(bodies)) <= 1, "the cut is seen"


TARGET = Target(check, [CHAT_STREAM, CHAT_DETAILS, CHAT_STREAM[:700] + CHAT_ERROR])
