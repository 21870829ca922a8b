from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.wire.codec import encode
from tollbridge.wire.scan import (
    contains_in_python,
    kinds_in_python,
    no_chunks,
    texts_in_python,
)

BEFORE, AFTER = b'data: {"delta":{"text":"', b'"}}\n\n'
FRAME = (BEFORE, AFTER)
TOLD = (b'event: x\ndata: {"content":"', b'"}\n\n')


@pytest.mark.parametrize(
    ("data", "content", "end", "missing"),
    [
        (b"", b"", 0, 0),
        (b"2\r\nok\r\n", b"ok", 7, 0),
        (
            b"2\r\nok\r\nA\r\n0123456789\r\n00b\r\nhello hello\r\n",
            b"ok0123456789hello hello",
            40,
            0,
        ),
        (b"1\r\n\n\r\n0\r\n\r\n", b"\n", 6, 0),
        (b"2\r\nok\r\n5\r\nhel", b"ok", 7, 4),
        (b"2\r\nok\r\n5\r\nhello\r", b"ok", 7, 1),
        (b"2\r\nok\r\n5\r\n", b"ok", 7, 7),
        (b"2\r\nok\r\n5\r", b"ok", 7, -1),
        (b"2\r\nok\r\n5", b"ok", 7, -1),
        (b"fffffff\r\nok", b"", 0, 0xFFFFFFF),
        (b"fffffff", b"", 0, -1),
        (b"fffffff0", b"", 0, 0),
        (b"00000002\r\nok\r\n", b"", 0, 0),
        (b"2\r\nokX\n", b"", 0, 0),
        (b"2\r\nok\rX", b"", 0, 0),
        (b"2\nok\n", b"", 0, 0),
        (b"2;a=b\r\nok\r\n", b"", 0, 0),
        (b" 2\r\nok\r\n", b"", 0, 0),
        (b"\r\nok\r\n", b"", 0, 0),
        (b"g\r\nok\r\n", b"", 0, 0),
        (b"-2\r\nok\r\n", b"", 0, 0),
        (b"\r", b"", 0, 0),
    ],
)
def test_whole_chunks(data: bytes, content: bytes, end: int, missing: int, c_scan: ModuleType):
    assert c_scan.whole_chunks(data, 0) == (content, end, missing)
    assert c_scan.whole_chunks(b"1\r\n" + data, 3) == (content, end + 3, missing)
    assert no_chunks(data, 0) == (b"", 0, 0)


@pytest.mark.parametrize("at", [-1, 3, 2**70, "0"])
def test_a_place_beyond_the_data_is_refused(at: object, c_scan: ModuleType):
    with pytest.raises((ValueError, OverflowError, TypeError)):
        c_scan.whole_chunks(b"ab", at)


def test_other_arguments_are_refused(c_scan: ModuleType):
    with pytest.raises(TypeError):
        c_scan.whole_chunks(b"")
    with pytest.raises(TypeError):
        c_scan.whole_chunks(bytearray(b"2\r\nok\r\n"), 0)
    with pytest.raises(TypeError):
        c_scan.texts(b"", 0, *FRAME, *FRAME[:1])
    with pytest.raises(TypeError):
        c_scan.texts(b"", 0, *FRAME, BEFORE, None)


def framed(raws: list[bytes], frame: tuple[bytes, bytes] = FRAME) -> bytes:
    return b"".join(frame[0] + raw + frame[1] for raw in raws)


def spelled(text: str) -> bytes:
    return encode(text)[1:-1]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20), st.binary(max_size=9))
def test_every_text_is_taken_as_it_is_encoded(c_scan: ModuleType, said: list[str], rest: bytes):
    raws = list(map(spelled, said))
    data = b"12" + framed(raws) + rest
    whole = "".join(said)
    for frame in (FRAME, TOLD, (b"", b"")):
        expected = (framed(raws, frame), len(data) - len(rest), len(whole), len(whole.encode()))
        assert c_scan.texts(data, 2, *FRAME, *frame) == expected
        assert texts_in_python(data, 2, *FRAME, *frame) == expected


def test_every_ascii_character_is_known(c_scan: ModuleType):
    for code in range(0x80):
        raw = spelled(chr(code))
        assert c_scan.texts(framed([raw]), 0, *FRAME, b"", b"") == (raw, len(framed([raw])), 1, 1)
        other = b"\\u%04x" % code
        if raw != other:
            assert c_scan.texts(framed([other]), 0, *FRAME, *FRAME) is None
            assert texts_in_python(framed([other]), 0, *FRAME, *FRAME) is None


ODD = [
    b"", b'"', b"\\", b"\\/", b"\\u0061", b"\\u000B", b"\\u000a", b"\\u001F", b"\\u00e9", b"\\ud83d",
    b"\\ud83d\\ude00", b"\\u001", b"\\u0", b"\\x", b"\t", b"\n", b"\0", b"\\\0", b"\\u00\0\0",
    b"\\u001\0", b"\xff", b"\x80", b"\xc1\xbf", b"\xc2", b"\xe5\xb7", b"\xa5", b"\xe0\x9f\xbf", b"\xed\xa0\x80",
    b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf0\x9f\x98", b"\xe5A\xa5",
]  # fmt: skip
WIDE = [
    b"\xc2\x80",
    b"\xdf\xbf",
    b"\xe0\xa0\x80",
    b"\xed\x9f\xbf",
    b"\xee\x80\x80",
    b"\xef\xbf\xbf",
]
WIDE += [b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf"]


@pytest.mark.parametrize("raw", ODD)
def test_what_is_spelled_otherwise_ends_the_row(raw: bytes, c_scan: ModuleType):
    for texts in (c_scan.texts, texts_in_python):
        for odd in (raw, b"a" + raw, raw + b"z") if raw else (raw,):
            assert texts(framed([odd]), 0, *FRAME, *FRAME) is None
            found = texts(framed([b"a", odd, b"b"]), 0, *FRAME, *FRAME)
            assert found == (framed([b"a"]), len(framed([b"a"])), 1, 1)


@given(
    st.lists(
        st.sampled_from([*ODD, *WIDE, b"word", b"\\n", b"\\\\", b'\\"', BEFORE, AFTER, b"\\u001f"])
        | st.binary(max_size=6)
        | st.text(max_size=6).map(spelled),
        max_size=8,
    ),
    st.booleans(),
    st.integers(0, 400),
)
def test_both_versions_take_the_same(c_scan: ModuleType, raws: list[bytes], joined: bool, cut: int):
    data = framed([b"".join(raws)] if joined else raws)[: cut or None]
    expected = texts_in_python(data, 0, *FRAME, *TOLD)
    assert c_scan.texts(data, 0, *FRAME, *TOLD) == expected


@pytest.mark.parametrize("count", [511, 512, 513, 5000])
def test_more_texts_are_left_to_another_call(count: int, c_scan: ModuleType):
    data = framed([b"\\n"] * count)
    for texts in (c_scan.texts, texts_in_python):
        at = chars = 0
        sent = b""
        while at < len(data):
            more, at, said, _ = texts(data, at, *FRAME, *TOLD)
            sent += more
            chars += said
        assert sent == framed([b"\\n"] * count, TOLD)
        assert chars == count


@given(
    data=st.one_of(
        st.binary(max_size=900),
        st.text(max_size=400).map(str.encode),
        st.text("\\u00e9 aZ", max_size=900).map(str.encode),
    ),
    windows=st.integers(1, 6),
)
def test_both_versions_count_the_same_kinds(c_scan: ModuleType, data: bytes, windows: int):
    for width, step, count in ((len(data), 0, 1), (len(data) // windows,) * 2 + (windows,)):
        counted = c_scan.kinds(data, width, step, count)
        assert counted == kinds_in_python(data, width, step, count)
        assert sum(counted[:4]) <= width * count


def test_kinds_by_hand(c_scan: ModuleType):
    data = "ab 1 \u3042\u6f22 é \U0001f600 \\u00e9".encode()
    # Letters and spaces: `ab`, five spaces, `u` and `e`.
    expected = (9, 2, 2, 2 + 2 + 1 + 3, 1)
    assert kinds_in_python(data, len(data), 0, 1) == expected
    assert c_scan.kinds(data, len(data), 0, 1) == expected


def test_windows_beyond_the_data_are_not_looked_at(c_scan: ModuleType):
    assert c_scan.kinds(b"abcd", 3, 2, 9) == (3, 0, 0, 0, 0)
    assert c_scan.kinds(b"abcd", 3, 1, 9) == (6, 0, 0, 0, 0)
    assert c_scan.kinds(b"", 0, 0, 1) == (0, 0, 0, 0, 0)
    with pytest.raises(ValueError, match="no negative sizes"):
        c_scan.kinds(b"abcd", -1, 1, 1)
    with pytest.raises(TypeError):
        c_scan.kinds("abcd", 1, 1, 1)
    with pytest.raises(TypeError):
        c_scan.kinds(b"abcd", 1, 1)


SCARCE = st.binary(max_size=80).map(lambda data: bytes(byte % 3 + 97 for byte in data))


@given(SCARCE, SCARCE.map(lambda text: text[:5] or b"a"))
def test_both_versions_find_the_same_words(c_scan: ModuleType, body: bytes, word: bytes):
    assert c_scan.contains(body, word) is contains_in_python(body, word) is (word in body)


def test_a_word_at_either_end_of_a_long_body(c_scan: ModuleType):
    rest = b"base6" * 50_000
    assert c_scan.contains(b"base64" + rest, b"base64")
    assert c_scan.contains(rest + b"4", b"base64")
    assert not c_scan.contains(rest, b"base64")
    with pytest.raises(TypeError):
        c_scan.contains("base64", b"base64")
