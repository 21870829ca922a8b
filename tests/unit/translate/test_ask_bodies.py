import msgspec
import pytest

from tollbridge.translate.ask_bodies import ChatAskBody, CountAskBody, MessagesAskBody

MESSAGES = {"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": "a"}]}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "a"}]}


def read(form: type, body: dict[str, object]) -> object:
    return msgspec.json.decode(msgspec.json.encode(body), type=form)


@pytest.mark.parametrize(("form", "body"), [(MessagesAskBody, MESSAGES), (ChatAskBody, CHAT)])
def test_members_of_tomorrow_are_passed_over(form, body):
    assert read(form, body) == read(form, {**body, "hologram": {"depth": 3}})


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (MessagesAskBody, {**MESSAGES, "temperature": 1.1}),
        (MessagesAskBody, {**MESSAGES, "top_k": -1}),
        (MessagesAskBody, {**MESSAGES, "max_tokens": -1}),
        (MessagesAskBody, {**MESSAGES, "messages": []}),
        (ChatAskBody, {**CHAT, "temperature": 2.1}),
        (ChatAskBody, {**CHAT, "max_tokens": 0}),
        (ChatAskBody, {**CHAT, "n": 0}),
        (ChatAskBody, {**CHAT, "model": ""}),
        (CountAskBody, {**CHAT, "messages": []}),
    ],
)
def test_what_is_out_of_range_is_refused(form, body):
    with pytest.raises(msgspec.ValidationError, match="Expected"):
        read(form, body)


def test_the_ends_of_the_ranges_are_inside():
    assert read(MessagesAskBody, {**MESSAGES, "temperature": 1, "top_k": 0}).max_tokens == 0
    assert read(ChatAskBody, {**CHAT, "temperature": 2, "max_tokens": 1}).n is None
