"""The notation itself: what differs, what is missing and what does not end is a failure."""

import pytest
from tests.playbook import Playbook, UnfinishedError, play

REQUEST = '{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}'
SENT = '{"model":"up","messages":[{"role":"user","content":"Hi"}],"max_tokens":9,"stream":false}'
HEAD = f"== messages on chat\n>> client request\n{REQUEST}\n<< upstream request\n{SENT}\n"
ANSWER = (
    '{"choices": [{"message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}]}'
)


def test_a_conversation_that_goes_as_written():
    play(HEAD)


def test_a_difference_is_shown_in_the_whole_conversation():
    with pytest.raises(AssertionError) as caught:
        play(HEAD.replace('"max_tokens":9,"stream"', '"max_tokens":8,"stream"'))
    lines = str(caught.value).splitlines()
    assert '-  "max_tokens": 8,' in lines or any('-{"model": "up"' in line for line in lines)
    assert " >> client request" in lines


def test_what_goes_out_unwritten_is_a_difference():
    with pytest.raises(AssertionError, match=r"\+<< upstream request"):
        play(HEAD.partition("<<")[0])


def test_what_is_written_and_never_goes_out_is_a_difference():
    with pytest.raises(AssertionError, match="-<< dropped"):
        play(f"{HEAD}<< dropped\ntop_k\n")


def test_a_stream_that_does_not_end_is_unfinished():
    with pytest.raises(UnfinishedError):
        Playbook(f'{HEAD}>> upstream stream\n{{"delta": {{"content": "x"}}}}\n').play()


def test_a_placeholder_is_any_value_once_and_that_value_from_then_on():
    other = REQUEST.replace('"Hi"', '"$text"')
    written = Playbook(f"{HEAD}>> upstream answer\n{ANSWER}\n").play()
    assert '"text": "Hi."' in written
    marked = written.replace('"text": "Hi."', '"text": "$text"')
    play(f"{marked}\n>> client request\n{other}\n<< upstream request\n"
         + SENT.replace('"Hi"', '"$text"'))  # fmt: skip
    with pytest.raises(AssertionError):
        play(f"{marked}\n>> client request\n{REQUEST}\n<< upstream request\n"
             + SENT.replace('"Hi"', '"$text"'))  # fmt: skip


def test_what_is_neither_head_nor_step_is_refused():
    with pytest.raises(ValueError, match="neither"):
        Playbook(f"{HEAD}\n== messages on nothing\n")
    with pytest.raises(ValueError, match="no open request"):
        Playbook(f"== messages on chat\n>> upstream answer\n{ANSWER}\n").play()
