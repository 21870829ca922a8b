import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server import routes
from tollbridge.server.routes import AT_ROOT, IN_GROUP, Endpoint, MethodError, Route, route
from tollbridge.units import PATH_CHARS_MAX


@pytest.mark.parametrize("rest", IN_GROUP)
@pytest.mark.parametrize(
    ("prefix", "group"),
    [("/v1/ai/cloudbase/", "cloudbase"), ("/v1/ai/mine/", "mine"), ("/", "cloudbase")],
)
def test_every_endpoint_in_a_group_and_at_the_root(prefix: str, group: str, rest: str):
    endpoint, method = IN_GROUP[rest]
    assert route(method, prefix + rest) == Route(endpoint, group)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/messages/", Route(Endpoint.MESSAGES, "cloudbase")),
        ("//v1//messages//", Route(Endpoint.MESSAGES, "cloudbase")),
        ("/v1/ai/cloudbase//v1/messages", Route(Endpoint.MESSAGES, "cloudbase")),
        ("/v1/ai/CloudBase/chat/completions", Route(Endpoint.CHAT, "CloudBase")),
        ("/v1/ai/x/v1/messages/count_tokens/", Route(Endpoint.COUNT_TOKENS, "x")),
    ],
)
def test_slashes_too_many_are_forgiven(path: str, expected: Route):
    assert route("POST", path) == expected


@pytest.mark.parametrize(
    ("path", "group", "model"),
    [
        ("/models/demo", "cloudbase", "demo"),
        ("/v1/models/a/b/c", "cloudbase", "a/b/c"),
        ("/v1/ai/g/models/a/b", "g", "a/b"),
        ("/v1/ai/g/v1/models/models/x", "g", "models/x"),
        ("/v1/models/", "cloudbase", ""),
        ("/v1/models/a//b/", "cloudbase", "a/b"),
        ("/v1/models/messages", "cloudbase", "messages"),
    ],
)
def test_the_name_of_a_model_may_hold_slashes(path: str, group: str, model: str):
    assert route("GET", path) == Route(Endpoint.MODELS, group, model)
    assert route("HEAD", path) == Route(Endpoint.MODELS, group, model)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/v1", "/v1/ai", "/v1/ai/", "/v1/ai/cloudbase", "/v1/ai//messages", "/V1/messages",
     "/v1/responses", "/v1/messages/batches", "/xmodels/y", "/v1/ai/g/healthz", "/v1/chat",
     "/v1/messagesx", "messages/../x", "/v1/x/models/y"],
)  # fmt: skip
def test_there_is_nothing_elsewhere(path: str):
    with pytest.raises(GatewayError) as caught:
        route("POST", path)
    assert caught.value.code is ErrorCode.ROUTE_UNKNOWN
    assert "/v1/ai/cloudbase" in caught.value.message
    assert "below it are messages, messages/count_tokens, chat/completions" in caught.value.message


def test_a_long_path_is_not_remembered():
    known = routes._find.cache_info().currsize
    name = "m" * PATH_CHARS_MAX
    assert route("GET", f"/v1/models/{name}").name == name
    assert routes._find.cache_info().currsize == known


def test_a_long_path_is_not_repeated_whole():
    with pytest.raises(GatewayError) as caught:
        route("GET", "/x" * 5000)
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("rest", AT_ROOT)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_one_method_each(rest: str, method: str):
    endpoint, right = AT_ROOT[rest]
    if method == right or (method, right) == ("HEAD", "GET"):
        assert route(method, f"/{rest}").endpoint is endpoint
        return
    with pytest.raises(MethodError) as caught:
        route(method, f"/{rest}")
    assert caught.value.code is ErrorCode.METHOD_NOT_ALLOWED
    assert f"asked with {right}, not {method}" in caught.value.message
    assert right in caught.value.allowed.split(", ")
    assert method not in caught.value.allowed.split(", ")
