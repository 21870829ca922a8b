"""A refusal as an HTTP answer, in the client's dialect."""

from collections.abc import Mapping

from tollbridge.app.answer_head import attempts_head
from tollbridge.config import Protocol
from tollbridge.errors import GatewayError
from tollbridge.server.outbound import Answer
from tollbridge.server.routes import MethodError
from tollbridge.translate.failures import error_body, error_status
from tollbridge.units import RequestId


def dialect_of(path: str, headers: Mapping[str, str]) -> Protocol:
    """In which protocol to answer where the endpoint does not say."""
    if "messages" in path or "anthropic-version" in headers:
        return "messages"
    return "chat"


def answer_problem(
    answer: Answer,
    protocol: Protocol,
    error: GatewayError,
    request_id: RequestId,
    *,
    attempts: int = 0,
) -> None:
    """Send the status, the headers that steer retries, and a body that every SDK understands.

    `attempts` were sent to upstreams before.
    """
    body = error_body(protocol, error, request_id)
    headers = [("content-type", "application/json"), *attempts_head(attempts)]
    retryable = error.problem.retryable
    if retryable is not None:
        headers.append(("x-should-retry", "true" if retryable else "false"))
    if error.retry_after_s is not None:
        headers.append(("retry-after", str(error.retry_after_s)))
    if isinstance(error, MethodError):
        headers.append(("allow", error.allowed))
    answer.start(error_status(protocol, error), headers)
    answer.finish(body)
