from types import ModuleType

import pytest

from tollbridge.wire.scan import no_chunks


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
