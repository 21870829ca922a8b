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
