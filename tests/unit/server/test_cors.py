from tests.unit.server.conftest import CHAT, MESSAGES, Play, World, check_ids

from tollbridge.server.cors import REQUEST_HEADERS, preflight


def test_what_a_browser_asks_for_is_allowed():
    answer = dict(preflight({"access-control-request-headers": "authorization,x-new"}))
    assert answer["access-control-allow-headers"] == "authorization,x-new"
    assert "POST" in answer["access-control-allow-methods"]
    assert int(answer["access-control-max-age"]) > 0


def test_without_a_list_what_the_sdks_send_is_allowed():
    allowed = dict(preflight({}))["access-control-allow-headers"]
    assert allowed == REQUEST_HEADERS
    assert {"authorization", "x-api-key", "content-type", "x-sdk-version"} <= set(
        allowed.split(", ")
    )


def test_never_with_cookies():
    assert "access-control-allow-credentials" not in dict(preflight({}))


def test_a_browser_may_ask(play: Play):
    async def scenario(world: World) -> None:
        wanted = "authorization,content-type,x-stainless-lang,x-sdk-version"
        headers = {
            "origin": "https://app.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": wanted,
        }
        for path in (MESSAGES, CHAT, "/nothing"):
            answer = await world.ask(path, method="OPTIONS", key="", headers=headers)
            assert (answer.status, answer.body) == (204, b"")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["access-control-allow-headers"] == wanted
            assert "POST" in answer.headers["access-control-allow-methods"]
            assert "access-control-allow-credentials" not in answer.headers
            check_ids(answer)
        for answer in (
            await world.ask("/models", headers={"origin": "https://app.example"}),
            await world.ask("/models", key="", headers={"origin": "https://app.example"}),
        ):
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["access-control-expose-headers"] == "*"

    play(scenario)
