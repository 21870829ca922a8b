"""Which proxy stands before which server: a table of rules."""

import pytest

from tollbridge.upstream.origin import parse_origin
from tollbridge.upstream.proxy import Proxy, choose_proxy, is_exempt, is_loopback, parse_proxy

HTTP = parse_origin("http://models.example:8000/v1")
HTTPS = parse_origin("https://models.example/v1")
A, B = "http://a.example:3128", "http://b.example:3128"


def chosen(origin, environ, setting=""):
    proxy = choose_proxy(setting, origin, environ)
    return None if proxy is None else proxy.origin.host[0]


@pytest.mark.parametrize(
    ("environ", "for_http", "for_https"),
    [
        ({}, None, None),
        ({"http_proxy": A}, "a", None),
        ({"HTTP_PROXY": A}, "a", None),
        ({"https_proxy": A}, None, "a"),
        ({"HTTPS_PROXY": A}, None, "a"),
        ({"all_proxy": A}, "a", "a"),
        ({"ALL_PROXY": A, "https_proxy": B}, "a", "b"),
        ({"http_proxy": A, "HTTP_PROXY": B}, "a", None),
        ({"http_proxy": " ", "HTTP_PROXY": B}, "b", None),
        ({"ALL_PROXY": A, "no_proxy": "models.example"}, None, None),
        ({"ALL_PROXY": A, "NO_PROXY": "models.example:8000"}, None, "a"),
        ({"ALL_PROXY": A, "no_proxy": "other.example", "NO_PROXY": "*"}, "a", "a"),
    ],
)
def test_what_the_environment_says(environ, for_http, for_https):
    assert chosen(HTTP, environ) == for_http
    assert chosen(HTTPS, environ) == for_https


def test_the_setting_of_the_upstream_has_the_last_word():
    environ = {"all_proxy": A, "no_proxy": "*"}
    assert chosen(HTTP, environ, B) == "b"
    assert chosen(HTTP, {"all_proxy": A}, "none") is None
    assert chosen(parse_origin("http://127.0.0.1"), environ, B) == "b"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "a.localhost"])
def test_the_environment_never_proxies_this_machine(host):
    origin = parse_origin(f"http://{host}:8000")
    assert is_loopback(origin.host)
    assert chosen(origin, {"all_proxy": A}) is None


@pytest.mark.parametrize("host", ["10.0.0.1", "::2", "models.example", "localhost.example"])
def test_other_machines(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("no_proxy", "host", "exempt"),
    [
        ("", "models.example", False),
        ("*", "models.example", True),
        ("models.example", "models.example", True),
        ("MODELS.example", "models.example", True),
        ("example", "models.example", True),
        (".example", "models.example", True),
        ("*.models.example", "a.models.example", True),
        (".models.example", "models.example", True),
        ("dels.example", "models.example", False),
        ("a.models.example", "models.example", False),
        ("x, models.example", "models.example", True),
        ("x models.example", "models.example", True),
        ("models.example:8000", "models.example", True),
        ("models.example:80", "models.example", False),
        ("10.0.0.7", "10.0.0.7", True),
        ("10.0.0.7", "10.0.0.70", False),
        ("10.0.0.0/8", "10.9.9.9", True),
        ("10.0.0.9/8", "10.9.9.9", True),
        ("10.0.0.0/8", "11.0.0.0", False),
        ("10.0.0.0/8", "models.example", False),
        ("10.0.0.7:8000", "10.0.0.7", True),
        ("10.0.0.7:1", "10.0.0.7", False),
        ("2001:db8::/32", "2001:db8::7", True),
        ("2001:db8::/32", "10.0.0.7", False),
        ("2001:db8:0::7", "2001:db8::7", True),
        ("[2001:db8::7]", "2001:db8::7", True),
        ("[2001:db8::7]:8000", "2001:db8::7", True),
        ("[2001:db8::7]:80", "2001:db8::7", False),
        (".7", "10.0.0.7", False),
        ("10.0.0.0/99", "10.0.0.7", False),
        (". , *.", "models.example", False),
    ],
)
def test_no_proxy(no_proxy, host, exempt):
    assert is_exempt(no_proxy, host, 8000) is exempt


@pytest.mark.parametrize(
    ("url", "place", "tls", "authorization"),
    [
        ("http://proxy.example:3128", "proxy.example:3128", False, ""),
        ("proxy.example:3128", "proxy.example:3128", False, ""),
        ("http://proxy.example/", "proxy.example:80", False, ""),
        ("HTTPS://proxy.example", "proxy.example:443", True, ""),
        ("http://[::1]:3128", "[::1]:3128", False, ""),
        ("http://user:pass@p:1", "p:1", False, "Basic dXNlcjpwYXNz"),
        ("http://us%40er:p%3Aa%2Fss@p:1", "p:1", False, "Basic dXNAZXI6cDphL3Nz"),
        ("http://user@p:1", "p:1", False, "Basic dXNlcjo="),
        ("user:p@ss@p:1", "p:1", False, "Basic dXNlcjpwQHNz"),
    ],
)
def test_parts_of_a_proxy(url, place, tls, authorization):
    proxy = parse_proxy(url, "proxy")
    assert (proxy.origin.place, proxy.origin.tls) == (place, tls)
    assert proxy.authorization == authorization


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("socks5://u:s3cret@p:1080", "no other kind of proxy"),
        ("http://u:s3cret@p:99999", "port is malformed"),
        ("http://u:s3cret@", "names no host"),
        ("http://u:s3cret@p:1/path", "must end after the port"),
        ("http://u:s3cret@p:1?q", "query"),
    ],
)
def test_refusals_name_the_setting_and_not_the_secret(url, words):
    with pytest.raises(ValueError, match=words) as caught:
        choose_proxy(url, HTTP, {})
    assert str(caught.value).startswith("proxy: ")
    with pytest.raises(ValueError, match=words) as of_environment:
        choose_proxy("", HTTP, {"HTTP_PROXY": url})
    assert str(of_environment.value).startswith("proxy: the variable HTTP_PROXY: ")
    for error in (caught.value, of_environment.value):
        assert "s3cret" not in str(error)


def test_a_proxy_that_nobody_needs_is_not_looked_at():
    environ = {"ALL_PROXY": "socks5://p", "NO_PROXY": "*"}
    assert choose_proxy("", HTTP, environ) is None


def test_no_repr_shows_the_credential():
    proxy = parse_proxy("http://user:pass@p:1", "proxy")
    assert isinstance(proxy, Proxy)
    assert "dXNlcjpwYXNz" not in repr(proxy)
    assert "p" in repr(proxy)
