from collections.abc import Iterator

import pytest

from tollbridge.translate import text_frames
from tollbridge.translate.text_frames import STRIDE_BYTES, TextFrames
from tollbridge.wire.scan import texts_in_python


@pytest.fixture(params=["c", "python"], autouse=True, scope="module")
def texts(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        in_c = request.param == "c"
        take = request.getfixturevalue("c_scan").texts if in_c else texts_in_python
        patch.setattr(text_frames, "texts", take)
        yield


def event(text: str, tail: str = "") -> bytes:
    return b'data: {"delta":{"text":"%b"}%b}' % (text.encode(), tail.encode())


def told(text: str) -> bytes:
    return b'event: x\ndata: {"content":"%b"}\n\n' % text.encode()


def taught() -> TextFrames:
    frames = TextFrames()
    for text in ("Hello", " world"):
        assert not frames.ready
        frames.show(event(text), text, told(text))
    assert frames.ready
    return frames


@pytest.mark.parametrize(
    "texts", [["a"], ["a", " b", "工具"], ["x"] * 500, ["\u3000", "a"], ["\u200b"] * 9]
)
def test_what_looks_the_same_is_taken_whole(texts: list[str]):
    data = b"".join(event(text) + b"\n\n" for text in texts)
    taken = taught().take(data + b"data: more")
    assert taken is not None
    assert taken.sent == b"".join(map(told, texts))
    assert taken.text == "".join(texts)
    assert taken.end == len(data)


@pytest.mark.parametrize(
    "data",
    [
        event("\\u0061"),  # another spelling than ours
        event("\\/"),
        event("\\ud83d"),
        event('quo"te'),
        event(""),
        event("tab\t"),
        b'data: {"delta":{"text":"\xff"}}',
        event("a", ',"usage":1'),
        event("a")[:-3],
        b"",
    ],
)
def test_what_does_not_goes_the_long_way(data: bytes):
    assert taught().take(data + b"\n\n") is None


@pytest.mark.parametrize("other", [event("b", ',"more":1'), b": ping", event("\\/"), event("")])
def test_what_comes_before_another_event_is_taken(other: bytes):
    rest = other + b"\n\n" + event("c") + b"\n\n"
    data = b"before" + event("a") + b"\n\n" + event("b") + b"\n\n" + rest
    taken = taught().take(data, 6)
    assert taken is not None
    # An event that another follows at once may have to go the long way with it.
    assert taken.sent == b"".join(map(told, taken.text))
    assert data.startswith(event("b") if taken.text == "a" else rest, taken.end)
    assert taken.text in ("a", "ab")


def test_a_character_that_two_events_share_goes_the_long_way():
    data = b"".join(b'data: {"delta":{"text":"%b"}}\n\n' % text for text in (b"\xe5\xb7", b"\xa5"))
    assert taught().take(data) is None
    taken = taught().take(event("a") + b"\n\n" + data)
    assert taken is not None
    assert (taken.text, taken.end) == ("a", len(event("a") + b"\n\n"))


def test_texts_that_json_escapes_are_taken_as_they_are_spelled():
    spelled = ['{\\"pa', "th\\\\", '\\"}', "\\n"]
    data = b"".join(event(text) + b"\n\n" for text in spelled)
    taken = taught().take(data)
    assert taken is not None
    assert taken.sent == b"".join(map(told, spelled))
    assert (taken.text, taken.end) == ('{"path\\"}\n', len(data))


def test_fragments_of_json_teach_as_well():
    frames = TextFrames()
    for text in ('{"a', '":1}'):
        spelled = text.replace('"', '\\"')
        frames.show(event(spelled), text, told(spelled))
    assert frames.ready


def test_an_event_with_an_escape_elsewhere_teaches_nothing():
    frames = TextFrames()
    for _ in range(3):
        # The text is spelled with an escape; what looks like it is another member.
        frames.show(event("\\u0061bc", ',"like":"abc"'), "abc", told("abc"))
    assert not frames.ready


def test_two_in_a_row_must_agree():
    frames = TextFrames()
    frames.show(event("a"), "a", b'data: {"role":"assistant","content":"a"}\n\n')
    frames.show(event("b"), "b", told("b"))
    assert not frames.ready, "the first bore a role"
    frames.show(event("c"), "c", told("c"))
    assert frames.ready
    frames.forget()
    assert not frames.ready


def test_an_event_that_is_told_otherwise_ends_what_was_learned():
    frames = taught()
    frames.show(event("a"), "a", b"event: stop\n\n" + told("a"))
    assert not frames.ready


@pytest.mark.parametrize("text", ["data", "a\n", "text"])
def test_a_text_whose_place_is_not_plain_teaches_nothing(text: str):
    frames = TextFrames()
    for _ in range(3):
        frames.show(
            b'data: {"kind":"data","delta":{"text":"%b"}}' % text.encode(), text, told(text)
        )
    assert not frames.ready


def test_one_event_goes_the_long_way_where_one_more_may_be_enough():
    data = (event("a") + b"\n\n") * 100
    one = len(event("a")) + 2
    frames = TextFrames()
    many = frames.stride(data, one)
    assert many % one == 0
    assert many > one + STRIDE_BYTES
    frames.show(event("\\u0061"), "a", told("a"))
    assert frames.stride(data, one) == many, "nothing was learned from it"
    frames.show(event("a"), "a", b"x" + told("a"))
    assert frames.stride(data, one) == 2 * one
    frames.show(event("b"), "b", told("b"))
    assert frames.stride(data, one) == many, "the two did not agree"
    assert frames.stride(data[:-1], len(data) - one) == len(data) - 1
