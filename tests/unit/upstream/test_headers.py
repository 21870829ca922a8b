import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.upstream.headers import (
    ANTHROPIC_VERSION_DEFAULT,
    FORWARDED,
    NEVER_FORWARDED,
    credential_headers,
    request_headers,
)

CLIENT = {
    "host": "env.api.example",
    "authorization": "Bearer tb_client",
    "x-api-key": "tb_client",
    "cookie": "a=b",
    "connection": "keep-alive, x-hop",
    "x-hop": "1",
    "keep-alive": "timeout=5",
    "te": "trailers",
    "upgrade": "h2c",
    "proxy-authorization": "Basic x",
    "transfer-encoding": "chunked",
    "content-length": "12",
    "content-type": "text/plain",
    "accept": "*/*",
    "accept-encoding": "gzip",
    "user-agent": "claude-cli/2.1.330",
    "x-stainless-retry-count": "0",
    "x-forwarded-for": "192.0.2.1",
    "openai-organization": "org-1",
    "openai-project": "proj_1",
    "anthropic-version": "2026-10-21",
    "anthropic-beta": "a-2026-01-01,b-2026-02-02",
    "anthropic-something-new": "yes",
    "anthropic-dangerous-direct-browser-access": "true",
    "anthropic-workspace-id": "w",
    "anthropic-user-profile-id": "u",
}


@pytest.mark.parametrize(
    ("protocol", "dialect", "expected"),
    [
        ("messages", "anthropic", [("x-api-key", "k")]),
        ("messages", "generic", [("authorization", "Bearer k")]),
        ("messages", "deepseek", [("authorization", "Bearer k")]),
        ("chat", "openai", [("authorization", "Bearer k")]),
        ("chat", "anthropic", [("authorization", "Bearer k")]),
    ],
)
def test_credentials(protocol, dialect, expected) -> None:
    assert credential_headers(protocol, dialect, "k") == expected
    assert credential_headers(protocol, dialect, "") == []


def test_messages() -> None:
    assert request_headers("messages", "anthropic", "k", CLIENT, stream=True) == (
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
        ("x-api-key", "k"),
        ("anthropic-version", "2026-10-21"),
        ("anthropic-beta", "a-2026-01-01,b-2026-02-02"),
        ("anthropic-something-new", "yes"),
    )


def test_chat_takes_nothing_from_the_client() -> None:
    assert request_headers("chat", "openai", "k", CLIENT, stream=False) == (
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("authorization", "Bearer k"),
    )


def test_version() -> None:
    def version(client: dict[str, str], pin: str | None = None) -> list[str]:
        headers = request_headers("messages", "generic", "", client, stream=False, pin_version=pin)
        return [value for name, value in headers if name == "anthropic-version"]

    assert version({}) == [ANTHROPIC_VERSION_DEFAULT]
    assert version({"anthropic-version": ""}) == [ANTHROPIC_VERSION_DEFAULT]
    assert version(CLIENT) == ["2026-10-21"]
    assert version(CLIENT, "2023-06-01") == ["2023-06-01"]


def test_the_table_names_every_protocol_and_no_credential() -> None:
    assert set(FORWARDED) == {"messages", "chat"}
    for prefixes in FORWARDED.values():
        for name in ("authorization", "x-api-key", "proxy-authorization", "cookie", "host"):
            assert not name.startswith(prefixes)
    assert all(name.startswith("anthropic-") for name in NEVER_FORWARDED)


@pytest.mark.parametrize("value", ["caf\xe9", "a\tb"])
def test_a_header_that_cannot_go_on_is_refused_by_its_name(value: str):
    headers = {"anthropic-beta": value, "user-agent": value}
    with pytest.raises(GatewayError, match=r"header anthropic-beta .* printable ASCII") as raised:
        request_headers("messages", "anthropic", "", headers, stream=True)
    assert raised.value.code is ErrorCode.FIELD_INVALID
    assert value not in raised.value.message
    assert request_headers("chat", "openai", "", headers, stream=True)
