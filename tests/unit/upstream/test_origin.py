import pytest

from tollbridge.upstream.origin import Origin, parse_origin


@pytest.mark.parametrize(
    ("base_url", "origin"),
    [
        ("http://models", Origin(False, "models", 80, "models", "")),
        ("https://models/", Origin(True, "models", 443, "models", "")),
        ("https://models:443/v1/", Origin(True, "models", 443, "models", "/v1")),
        ("http://Models:8000/a/b", Origin(False, "models", 8000, "models:8000", "/a/b")),
        ("http://[::1]:8000/v1", Origin(False, "::1", 8000, "[::1]:8000", "/v1")),
        ("https://[2001:db8::1]", Origin(True, "2001:db8::1", 443, "[2001:db8::1]", "")),
    ],
)
def test_parts(base_url: str, origin: Origin) -> None:
    assert parse_origin(base_url) == origin


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("ftp://models", "must begin with"),
        ("models:8000", "must begin with"),
        ("http:///v1", "names no host"),
        ("http://models:99999", "malformed"),
        ("http://[::1", "malformed"),
        (f"http://{'a' * 70}.example", "malformed"),
        ("http://user:s3cret@models", "credentials belong"),
        ("http://models/v1?key=s3cret", "query"),
        ("http://models/v1#x", "query or a fragment"),
        ("http://models/v 1", "without spaces"),
        ("http://models/\r\nx: y", "printable"),
        ("http://m\xf6dels/v1", "printable"),
    ],
)
def test_refusals_do_not_repeat_the_url(base_url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        parse_origin(base_url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_place_has_a_port() -> None:
    assert parse_origin("https://models").place == "models:443"
    assert parse_origin("http://[::1]").place == "[::1]:80"


def test_the_refused_setting_is_named() -> None:
    with pytest.raises(ValueError, match=r"^base_url: names no host$"):
        parse_origin("http://")
    with pytest.raises(ValueError, match=r"^proxy: names no host$"):
        parse_origin("http://", "proxy")
