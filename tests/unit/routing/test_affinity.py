"""What names a conversation."""

import json

import pytest

from tollbridge.routing.affinity import SAMPLE_BYTES, SESSION_HEADERS, affinity_key

HI = {"role": "user", "content": "Hi"}
LATER = [{"role": "assistant", "content": "Hello"}, {"role": "user", "content": "And now?"}]


def body(*messages: object, **members: object) -> bytes:
    return json.dumps({"model": "m", "messages": list(messages), **members}).encode()


def key(*messages: object, **members: object) -> bytes:
    return affinity_key({}, body(*messages, **members))


@pytest.mark.parametrize("name", SESSION_HEADERS)
def test_a_session_that_the_client_names(name):
    assert affinity_key({name: "s-1"}, body(HI)) == b"s-1"
    assert affinity_key({name: "s-1"}, body(*LATER)) == b"s-1"


def test_our_own_header_comes_first():
    headers = {name: name for name in SESSION_HEADERS}
    assert affinity_key(headers, body(HI)) == b"x-tollbridge-session"


def test_a_cache_key_in_the_body():
    assert key(HI, prompt_cache_key="c-1") == b"c-1"
    assert key(HI, prompt_cache_key="") == key(HI, prompt_cache_key=None) == key(HI)
    spaced = b'{"messages": [], "prompt_cache_key" : "c\\u002d1" }'
    assert affinity_key({}, spaced) == b"c-1"


def test_a_number_that_nothing_can_hold_is_no_cache_key():
    huge = b'{"messages": %s, "prompt_cache_key": %s}' % (json.dumps([HI]).encode(), b"9" * 5_000)
    assert affinity_key({}, huge) == key(HI)


@pytest.mark.parametrize(
    "before",
    [
        [],
        [{"role": "system", "content": "Be brief."}],
        [{"role": "developer", "content": "Be brief."}, {"role": "system", "content": "x"}],
    ],
)
def test_later_turns_have_the_key_of_the_first(before):
    first = key(*before, HI, tools=[{"name": "t"}])
    assert key(*before, HI, *LATER, tools=[{"name": "t"}], temperature=1) == first


@pytest.mark.parametrize(
    "other",
    [
        body({"role": "user", "content": "Ho"}),
        body(HI, system="Be brief."),
        body(HI, tools=[{"name": "t"}]),
        body({"role": "system", "content": "Be brief."}, HI),
    ],
)
def test_another_beginning_has_another_key(other):
    assert affinity_key({}, other) != key(HI)


def test_the_cache_mark_that_moves_from_turn_to_turn_does_not_count():
    text = {"type": "text", "text": "Hi"}
    marks = [{"cache_control": {"type": "ephemeral"}}, {"cache_control": {"ttl": "1h"}}, {}]
    keys = {key({"role": "user", "content": [{**text, **mark}]}) for mark in marks}
    assert len(keys) == 1


def test_long_parts_are_sampled():
    long = "x" * SAMPLE_BYTES
    assert key(HI, system=long + "a") == key(HI, system=long + "b")


@pytest.mark.parametrize(
    "messages", [[{"role": "system"}] * 20, [{}], [{"role": 7}], [{"role": "assistant"}, HI]]
)
def test_strange_conversations_have_a_key_too(messages):
    assert key(*messages) == key(*messages)
    assert len(key(*messages)) == 16


@pytest.mark.parametrize("message", [5, None, "Hello", [], True])
def test_what_is_no_message_is_left_to_those_who_have_words_for_it(message: object):
    assert key(message)
