import pytest

from tollbridge.app.ports import UpstreamRequest
from tollbridge.upstream.origin import parse_origin
from tollbridge.upstream.request import OWN_HEADERS, encode_head, end_head, static_lines

ORIGIN = parse_origin("http://[::1]:8000/v1")


def encode(request: UpstreamRequest) -> bytes:
    return end_head(encode_head(request, ORIGIN.prefix, static_lines(ORIGIN)), request.body)


def test_head() -> None:
    request = UpstreamRequest("POST", "/chat/completions", (("Authorization", "Bearer k"),), b"{}")
    assert encode(request) == (
        b"POST /v1/chat/completions HTTP/1.1\r\n"
        b"host: [::1]:8000\r\n"
        b"user-agent: tollbridge\r\n"
        b"accept-encoding: identity\r\n"
        b"Authorization: Bearer k\r\n"
        b"content-length: 2\r\n"
        b"\r\n"
    )


def test_a_connection_for_one_request_says_so() -> None:
    assert static_lines(ORIGIN, keep_alive=False).endswith("\r\nconnection: close")


def test_head_without_headers_and_body() -> None:
    assert encode(UpstreamRequest("GET", "/models", (), b"")).endswith(b"content-length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "value", ["a\r\nx: y", "a\nb", "a\rb", "a\0b", "s3cr\xe9t", "s3cret\u20ac"]
)
def test_a_value_that_is_not_one_line_names_its_header(value: str) -> None:
    request = UpstreamRequest("POST", "/", (("ok", "1"), ("x-api-key", value)), b"")
    with pytest.raises(ValueError, match="header x-api-key") as caught:
        encode(request)
    assert value not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "\xe9", "x\n"])
def test_a_name_that_is_not_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="not a token"):
        encode(UpstreamRequest("POST", "/", ((name, "1"),), b""))


@pytest.mark.parametrize("name", sorted(OWN_HEADERS))
def test_headers_of_the_client_itself_cannot_be_passed(name: str) -> None:
    for spelled in (name, name.title()):
        for _ in range(2):
            with pytest.raises(ValueError, match="set by the client"):
                encode(UpstreamRequest("POST", "/", ((spelled, "1"),), b""))


@pytest.mark.parametrize("path", ["/a b", "/a\r\nx: y", "/\xe9"])
def test_a_path_that_would_break_the_request_line(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        encode(UpstreamRequest("GET", path, (), b""))


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("http://e:1/v1", "/tokenize"),
        ("http://e:1/llm/v1", "/llm/tokenize"),
        ("http://e:1", "/tokenize"),
    ],
)
def test_a_path_may_leave_the_last_segment_of_the_base_url(base_url: str, target: str) -> None:
    origin = parse_origin(base_url)
    head = encode_head(UpstreamRequest("POST", "/../tokenize", (), b""), origin.prefix, "")
    assert head.startswith(f"POST {target} HTTP/1.1\r\n".encode())


def test_a_proxy_gets_the_whole_url() -> None:
    origin = parse_origin("http://models.example/v1")
    for path, target in (("/x", "/v1/x"), ("/../x", "/x")):
        request = UpstreamRequest("GET", path, (), b"")
        head = encode_head(request, origin.prefix, static_lines(origin), "http://models.example")
        assert head.startswith(f"GET http://models.example{target} HTTP/1.1\r\n".encode())
