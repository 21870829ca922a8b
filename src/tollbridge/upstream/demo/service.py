"""The demo model's HTTP service without the HTTP: a request to a script, pure."""

import hashlib

from tollbridge.upstream.demo import mind, request, rules, script
from tollbridge.upstream.demo.plan import Failure
from tollbridge.upstream.demo.request import InvalidRequestError, Json
from tollbridge.upstream.demo.script import Script

_MODEL: dict[str, Json] = {
    "type": "model",
    "id": "demo",
    "display_name": "Tollbridge demo",
    "created_at": "1970-01-01T00:00:00Z",
    "lifecycle": "active",
    "line": None,
    "max_input_tokens": None,
    "max_tokens": None,
    "capabilities": None,
    "deprecated_at": None,
    "retires_at": None,
}
_METHODS = {
    "/v1/messages": "POST",
    "/v1/messages/count_tokens": "POST",
    "/v1/models": "GET",
    "/v1/models/demo": "GET",
}


def respond(method: str, path: str, body: bytes, pace_ms: float) -> Script:
    """Answer one request; whatever the body, the answer is valid HTTP and valid Messages.

    Args:
        method: of HTTP.
        path: what it ends with decides; a query is ignored.
        body: of the request.
        pace_ms: silence before each piece of a stream.
    """
    seed = hashlib.sha256(body).digest()
    request_id = f"req_demo{seed.hex()[:20]}"
    route = path.partition("?")[0]
    ending = next((known for known in _METHODS if route.endswith(known)), None)
    if ending is None:
        return script.failure(Failure(404, f"Not found: {route}"), request_id)
    if method != _METHODS[ending]:
        return script.failure(Failure(405, f"Method not allowed: {method}"), request_id)
    match ending:
        case "/v1/models":
            page: dict[str, Json] = {
                "data": [_MODEL],
                "has_more": False,
                "first_id": "demo",
                "last_id": "demo",
            }
            return script.document(200, page, request_id)
        case "/v1/models/demo":
            return script.document(200, _MODEL, request_id)
    try:
        return _answer(body, ending.endswith("/count_tokens"), seed, request_id, pace_ms)
    except InvalidRequestError as error:
        return script.failure(Failure(400, str(error)), request_id)
    except RecursionError:
        return script.failure(Failure(400, "The request body is nested too deeply"), request_id)


def _answer(body: bytes, counting: bool, seed: bytes, request_id: str, pace_ms: float) -> Script:
    prompt = request.read(body, counting=counting)
    rules.check(prompt)
    if prompt.max_tokens is None:
        return script.document(200, {"input_tokens": prompt.input_tokens}, request_id)
    plan = mind.think(prompt, seed)
    if isinstance(plan, Failure):
        return script.failure(plan, request_id)
    message_id = f"msg_demo{seed.hex()[:20]}"
    if prompt.stream:
        return script.stream(plan, message_id, request_id, pace_ms)
    return script.message(plan, message_id, request_id)
