"""Any body is read or refused with a code, alike each time; its estimate lies within its bound."""

from fuzz.corpus import CHAT_BODY, MESSAGES_BODY
from fuzz.target import Target, check_twice
from tollbridge.config import Protocol
from tollbridge.translate.asks import read_ask, read_count
from tollbridge.translate.prompt_text import prompt_text


def _read(protocol: Protocol, body: bytes) -> bytes:
    ask = read_ask(protocol, body)
    assert ask.model
    assert 0 < ask.input_estimate <= ask.input_bound
    return repr(ask).encode()


def check(data: bytes) -> None:
    """As an ask of both protocols, as a count, and as the text of a prompt."""
    size = len(data)
    check_twice(lambda: _read("messages", data), size)
    check_twice(lambda: _read("chat", data), size)
    check_twice(lambda: repr(read_count(data)).encode(), size)
    check_twice(lambda: prompt_text(data).encode("utf-8", "surrogatepass"), size)


TARGET = Target(check, [MESSAGES_BODY, CHAT_BODY])
