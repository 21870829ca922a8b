import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server.credentials import environment_of_host, presented_key


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "key"),
    [
        ("Bearer k", None, "k"),
        ("bearer k", None, "k"),
        ("BEARER \t k ", None, "k"),
        ("Bearer\tk", None, "k"),
        ("k", None, "k"),
        ("k", "other", "k"),
        (None, "k", "k"),
        ("", " k ", "k"),
        ("Bearer", "k", "k"),
        ("Bearer ", "k", "k"),
        ("Basic dTpw", "k", "k"),
        ("Bearer k", "other", "k"),
        ("Bearer k more", None, "k more"),
        ("Bearer k,Bearer k", None, "k,Bearer k"),
    ],
)
def test_bearer_wins_over_x_api_key(authorization: str | None, x_api_key: str | None, key: str):
    sent = {"authorization": authorization, "x-api-key": x_api_key}
    assert presented_key({name: value for name, value in sent.items() if value is not None}) == key


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "  "},
        {"authorization": "Bearer"},
        {"authorization": "Basic dTpw"},
        {"x-api-key": " "},
        {"proxy-authorization": "Bearer k", "cookie": "k"},
    ],
)
def test_no_key_is_told_how_to_send_one(headers: dict[str, str]):
    with pytest.raises(GatewayError) as caught:
        presented_key(headers)
    assert caught.value.code is ErrorCode.CREDENTIAL_MISSING
    assert "Authorization: Bearer" in caught.value.message


@pytest.mark.parametrize(
    ("host", "environment"),
    [
        ("a.api.example.com", "a"),
        ("A.Api.EXAMPLE.com:8443", "a"),
        ("a.api.example.com.", "a"),
        ("a.api.example.com.:80", "a"),
        ("a.b.api.example.com", "a.b"),
        (".api.example.com", ""),
        ("api.example.com", None),
        ("a.example.com", None),
        ("aapi.example.com", None),
        ("a.api.example.com.evil.test", None),
        ("127.0.0.1:8787", None),
        ("[::1]:8787", None),
        ("localhost", None),
        ("", None),
    ],
)
def test_the_host_may_name_an_environment(host: str, environment: str | None):
    assert environment_of_host(host, "Example.com") == environment


def test_without_a_domain_only_the_key_names_it():
    assert environment_of_host("a.api.", "") is None
    assert environment_of_host("a.api.example.com", "") is None
