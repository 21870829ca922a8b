import msgspec
import pytest

from tollbridge.errors import PROBLEMS, ErrorCode, GatewayError
from tollbridge.translate.failures import (
    error_body,
    error_status,
    failure_from_event,
    failure_from_upstream,
    scrub,
    stream_error,
)


def upstream(status: int, error: object, **headers: str) -> GatewayError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return failure_from_upstream("chat", status, named, msgspec.json.encode(error))


def said(message: str, **members: object) -> dict[str, object]:
    return {"error": {"message": message, **members}}


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_code_has_a_body_in_each_dialect_with_cloudbases_members(code: ErrorCode):
    error = GatewayError(code, "A sentence.", field="messages[0].role")
    for protocol in ("messages", "chat"):
        body = msgspec.json.decode(error_body(protocol, error, "req_1"))
        assert (body["code"], body["message"], body["requestId"]) == (
            PROBLEMS[code].code,
            "A sentence.",
            "req_1",
        )
        assert 400 <= error_status(protocol, error) < 600
    assert msgspec.json.decode(error_body("messages", error, "r"))["error"] == {
        "type": PROBLEMS[code].messages_type,
        "message": "A sentence.",
    }
    assert msgspec.json.decode(error_body("chat", error, "r"))["error"]["param"] == error.field


def test_an_error_inside_a_stream_suits_the_parsers_of_each_side():
    error = GatewayError(ErrorCode.UPSTREAM_FAILED, "It failed.")
    name, data = stream_error("messages", error, "req_1").split(b"\n", 1)
    assert name == b"event: error"
    assert msgspec.json.decode(data.removeprefix(b"data: "))["request_id"] == "req_1"
    chunk = msgspec.json.decode(stream_error("chat", error, "req_1").removeprefix(b"data: "))
    assert chunk["choices"] == []
    assert chunk["error"]["message"] == "It failed."


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            (
                "This model's maximum context length is 32768 tokens. However, you requested 40000"
                " tokens (38000 in the messages, 2000 in the completion)."
            ),
            "40000 tokens > 32768 maximum",
        ),
        (
            "The input (70000 tokens) is longer than the model's context length (65536 tokens).",
            "70000 tokens > 65536 maximum",
        ),
        (
            "Your request exceeded model token limit: 131072 (requested: 140000)",
            "140000 tokens > 131072 maximum",
        ),
        (
            "input length and `max_tokens` exceed context limit: 190000 + 21333 > 200000",
            "211333 tokens > 200000 maximum",
        ),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)",
            "1200000 tokens > 1048576 maximum",
        ),
        ("Prompt exceeds max length", "Prompt exceeds max length"),
    ],
)
def test_a_context_overflow_is_told_in_the_official_words(message: str, told: str):
    error = upstream(400, said(message, type="invalid_request_error"))
    assert error.code is ErrorCode.CONTEXT_OVERFLOW
    assert error.message == f"prompt is too long: {told}"


def test_llama_cpp_counts_beside_the_message():
    members = {"type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 8192}
    error = upstream(400, said("the request exceeds the available context size", **members))
    assert error.message == "prompt is too long: 9000 tokens > 8192 maximum"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, said("bad value", type="invalid_request_error"), ErrorCode.UPSTREAM_REFUSED),
        (422, {"detail": [{"loc": ["body", "top_k"], "msg": "no"}]}, ErrorCode.UPSTREAM_REFUSED),
        (401, said("bad key", code="invalid_api_key"), ErrorCode.UPSTREAM_CREDENTIAL),
        (403, said("region"), ErrorCode.UPSTREAM_CREDENTIAL),
        (402, said("Insufficient Balance"), ErrorCode.UPSTREAM_QUOTA),
        (429, said("no money", code="insufficient_quota"), ErrorCode.UPSTREAM_QUOTA),
        (400, said("Your credit balance is too low"), ErrorCode.UPSTREAM_QUOTA),
        (429, said("slow down", type="rate_limit_error"), ErrorCode.UPSTREAM_RATE_LIMITED),
        (404, said("no model", code="model_not_found"), ErrorCode.UPSTREAM_MODEL_MISSING),
        (400, said("Model Not Exist"), ErrorCode.UPSTREAM_MODEL_MISSING),
        (413, said("too big"), ErrorCode.BODY_TOO_LARGE),
        (500, said("boom", type="server_error"), ErrorCode.UPSTREAM_FAILED),
        (503, said("busy", type="server_error"), ErrorCode.UPSTREAM_OVERLOADED),
        (529, said("busy", type="overloaded_error"), ErrorCode.UPSTREAM_OVERLOADED),
        (504, {"message": "late"}, ErrorCode.UPSTREAM_TIMEOUT),
        (408, {"error": "late"}, ErrorCode.UPSTREAM_TIMEOUT),
        (418, [], ErrorCode.UPSTREAM_REFUSED),
    ],
)
def test_statuses_and_words_of_upstreams(status: int, body: object, code: ErrorCode):
    assert upstream(status, body).code is code


def test_a_bare_404_is_a_wrong_address_and_no_missing_model():
    for protocol in ("messages", "chat"):
        for body in (b"Not Found", b'{"detail":"Not Found"}'):
            error = failure_from_upstream(protocol, 404, {}, body)
            assert error.code is ErrorCode.UPSTREAM_FAILED
    error = upstream(404, {"error": "model 'x' not found"})
    assert error.code is ErrorCode.UPSTREAM_MODEL_MISSING


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"", b"\xff\xfe", b"[[" * 5000])
def test_ollama_14828_a_body_that_is_no_json_keeps_the_status_and_leaks_nothing(body: bytes):
    error = failure_from_upstream("chat", 502, {}, body)
    assert error.code is ErrorCode.UPSTREAM_FAILED
    assert error.message == "The model's server failed."


@pytest.mark.parametrize(
    ("header", "seconds"),
    [({"retry_after": "7"}, 7), ({"retry_after": "4000"}, 60), ({"retry_after_ms": "1500"}, 2)]
    + [({"retry_after": bad}, None) for bad in ("-1", "nan", "Wed, 21 Oct 2026 07:28:00 GMT")],
)
def test_retry_after_is_capped(header: dict[str, str], seconds: int | None):
    assert upstream(429, said("slow"), **header).retry_after_s == seconds


def test_addresses_and_credentials_stay_inside():
    told = scrub(
        "key sk-abc1234567 of org-12345678 at https://api.example.com/v1?x=1, 10.0.0.1:8000,"
        " pod.svc.cluster.local:80/x, localhost:9, Bearer abcdefgh refused hy3-preview v1.2.3"
    )
    for secret in ("sk-abc", "org-1", "example", "10.0", "cluster", "localhost", "abcdefgh"):
        assert secret not in told
    assert told.endswith("refused hy3-preview v1.2.3")
    assert len(scrub("x" * 10**6)) <= 1_000


def test_the_operators_credential_is_not_discussed_with_the_client():
    error = upstream(401, said("Incorrect API key provided: sk-proj-123456"))
    assert "123456" not in error.message
    assert error_status("messages", error) == 502


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("overloaded_error", None, ErrorCode.UPSTREAM_OVERLOADED),
        ("BadRequestError", 400, ErrorCode.UPSTREAM_REFUSED),
        (None, 429, ErrorCode.UPSTREAM_RATE_LIMITED),
        (None, "502", ErrorCode.UPSTREAM_FAILED),
        (None, None, ErrorCode.UPSTREAM_FAILED),
        ("server_error", 503, ErrorCode.UPSTREAM_OVERLOADED),
    ],
)
def test_errors_inside_a_stream(kind: str | None, code: str | int | None, expected: ErrorCode):
    assert failure_from_event(kind, "It broke.", code).code is expected


def test_an_overflow_inside_a_stream_is_recognised():
    error = failure_from_event(None, "maximum context length is 10 tokens, got 20", 400)
    assert error.message == "prompt is too long: 20 tokens > 10 maximum"
