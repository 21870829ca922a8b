import pytest

from tollbridge.errors import ErrorCode
from tollbridge.server.head import (
    NOWHERE,
    head_size,
    head_too_large,
    malformed,
    path_of,
)


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"/a/b?c=/d", "/a/b", "h"),
        (b"/%61%2F%E5%B7%A5", "/a/工", "h"),
        (b"/%ff", "/\udcff", "h"),
        (b"http://team.example.com:80/a?b", "/a", "team.example.com"),
        (b"http://team.example.com", "/", "team.example.com"),
        (b"*", "*", "h"),
        (b"", "", "h"),
        (b"other.test:443", "", "h"),
    ],
)
def test_a_target_tells_the_path_and_perhaps_the_host(target: bytes, path: str, host: str):
    headers = {"host": "h"}
    assert path_of(target, headers) == path
    assert headers == {"host": host}


def test_what_goes_nowhere_is_not_kept():
    NOWHERE["authorization"] = "mine"
    assert "authorization" not in NOWHERE


def test_the_size_of_a_head():
    assert head_size(b"/a", {"b": "c", "de": "f"}) == 7


def test_what_is_told():
    assert malformed("Bad size").code is ErrorCode.REQUEST_MALFORMED
    assert "Bad size." in malformed("Bad size").message
    assert "65536 bytes or 128 headers" in head_too_large().message
