"""What the gateway has to know of a request before it chooses a target.

Only the members that decide something are decoded, messages and tools stay raw: an unknown member
is no error here, and a same-protocol hop keeps the client's bytes.
"""

from typing import NamedTuple

import msgspec

from tollbridge.config import Protocol
from tollbridge.translate.ask_bodies import ChatAskBody, CountAskBody, MessagesAskBody
from tollbridge.translate.bridge import Ask
from tollbridge.translate.calibration import UNTAUGHT, Calibration, bound
from tollbridge.translate.prompt_features import Features, read_features
from tollbridge.wire.codec import decode

ANSWERING_THINKING = frozenset({"enabled", "adaptive", "between_tools"})
"""The `thinking.type` values with which a Messages client asks to see thinking."""


_messages_decoder = msgspec.json.Decoder(MessagesAskBody)
_chat_decoder = msgspec.json.Decoder(ChatAskBody)


def read_ask(protocol: Protocol, body: bytes, calibration: Calibration = UNTAUGHT) -> Ask:
    """Read and check what every pair of protocols needs.

    Raises:
        GatewayError: BODY_INVALID, FIELD_MISSING or FIELD_INVALID, naming the member.
    """
    if protocol == "messages":
        asked = decode(body, _messages_decoder)
        prompt = read_features(body)
        estimate = calibration.estimate(asked.model, prompt)
        return Ask(
            model=asked.model,
            stream=bool(asked.stream),
            max_tokens=asked.max_tokens,
            thinking=asked.thinking is not None and asked.thinking.type in ANSWERING_THINKING,
            sampling=(asked.temperature, asked.top_p, asked.top_k) != (None, None, None),
            prompt=prompt,
            input_estimate=estimate,
            input_bound=bound(prompt, estimate),
        )
    chat = decode(body, _chat_decoder)
    prompt = read_features(body)
    options = chat.stream_options
    limits = [limit for limit in (chat.max_completion_tokens, chat.max_tokens) if limit]
    choices = chat.n or 1
    estimate = calibration.estimate(chat.model, prompt)
    return Ask(
        model=chat.model,
        stream=bool(chat.stream),
        max_tokens=max(limits) * choices if limits else None,
        choices=choices,
        thinking=True,
        include_usage=options is not None and options.include_usage is True,
        prompt=prompt,
        input_estimate=estimate,
        input_bound=bound(prompt, estimate),
    )


class CountAsk(NamedTuple):
    """What `count_tokens` asks: the length of a prompt for a model."""

    model: str
    prompt: Features


_count_decoder = msgspec.json.Decoder(CountAskBody)


def read_count(body: bytes) -> CountAsk:
    """Read a `count_tokens` body: a Messages request without its limits.

    Raises:
        GatewayError: BODY_INVALID, FIELD_MISSING or FIELD_INVALID, naming the member.
    """
    asked = decode(body, _count_decoder)
    return CountAsk(asked.model, read_features(body))
