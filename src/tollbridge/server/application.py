"""The data plane's routes: a request in, an answer out, and errors told in between."""

import msgspec

from tollbridge.access.keys import REQUEST_ID_ENTROPY_BYTES, mint_request_id
from tollbridge.app.exchange import Exchange
from tollbridge.app.gateway import Gateway
from tollbridge.app.inquiry import Inquiry
from tollbridge.app.ports import Inbound
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server.cors import preflight
from tollbridge.server.credentials import environment_of_host, presented_key
from tollbridge.server.inbound import ClientGoneError, Request
from tollbridge.server.intake import Intake, IntakeLimits
from tollbridge.server.models import model_list, model_object
from tollbridge.server.outbound import Answer
from tollbridge.server.problems import answer_problem, dialect_of
from tollbridge.server.receipts import receipt_body
from tollbridge.server.routes import PROTOCOLS, Endpoint, Route, route

COSTLY = frozenset({Endpoint.MESSAGES, Endpoint.CHAT, Endpoint.COUNT_TOKENS})
"""What reads a body and asks an upstream needs a place among the exchanges under way."""


class Application:
    """Answers HTTP requests for one worker."""

    def __init__(self, gateway: Gateway) -> None:
        self.leaving = False
        """The worker is about to stop: `/readyz` says so."""
        self.intake = Intake(IntakeLimits.of(gateway.config.server))
        self.use(gateway)

    def use(self, gateway: Gateway) -> None:
        """Serve requests with this one from now on; those under way keep theirs."""
        self._gateway = gateway
        self.intake.use(IntakeLimits.of(gateway.config.server))
        self._inquiry = Inquiry(gateway)

    async def serve(self, request: Request, answer: Answer) -> None:
        """One request, to its end. Errors become answers here and nowhere else."""
        gateway, headers = self._gateway, request.headers
        request_id = mint_request_id(gateway.clock(), gateway.entropy(REQUEST_ID_ENTROPY_BYTES))
        answer.name(request_id)
        protocol = dialect_of(request.path, headers)
        exchange: Exchange | None = None
        try:
            if request.refusal is not None:
                raise request.refusal
            if request.method == "OPTIONS":
                answer.start(204, preflight(headers))
                answer.finish()
                return
            found = route(request.method, request.path)
            protocol = PROTOCOLS.get(found.endpoint, protocol)
            inbound = Inbound(
                request_id=request_id,
                protocol=protocol,
                group=found.group,
                env_id=environment_of_host(headers.get("host", ""), gateway.config.server.domain),
                headers=headers,
                presented_key=lambda: presented_key(headers),
                body=request.body,
            )
            if found.endpoint not in COSTLY:
                await self._answer(found, inbound, answer)
                return
            if not self.intake.take():
                await self.intake.wait()
            try:
                if found.endpoint is Endpoint.COUNT_TOKENS:
                    await self._answer(found, inbound, answer)
                else:
                    exchange = Exchange(gateway, inbound, answer)
                    await exchange.run()
            finally:
                self.intake.leave()
                if exchange is not None:
                    exchange.release()
        except GatewayError as error:
            if exchange is None:
                gateway.observer.request_refused(request_id, protocol, error)
            error.__traceback__ = None  # it leads here and to the exchange: a cycle
            answer_problem(answer, protocol, error, request_id, attempts=_attempts(exchange))
        except ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001  # the last door: a bug must not lose the answer
            gateway.observer.trouble(f"bug in {request_id}", error)
            if not answer.started:
                problem = GatewayError(
                    ErrorCode.INTERNAL,
                    f"Something went wrong in the gateway; its operator finds it as {request_id}.",
                )
                answer_problem(answer, protocol, problem, request_id, attempts=_attempts(exchange))

    async def _answer(self, found: Route, inbound: Inbound, answer: Answer) -> None:
        kind = "application/json"
        head: list[tuple[str, str]] = []
        match found.endpoint:
            case Endpoint.COUNT_TOKENS:
                body, exact = await self._inquiry.count_tokens(inbound)
                head.append(("x-tollbridge-count", "exact" if exact else "estimate"))
            case Endpoint.MODELS:
                models = await self._inquiry.models(inbound, found.name)
                body = (
                    msgspec.json.encode(model_object(models[0]))
                    if found.name
                    else model_list(models)
                )
            case Endpoint.RECEIPT:
                body = receipt_body(await self._inquiry.receipt(inbound, found.name))
            case Endpoint.READY:
                if self.leaving:
                    raise GatewayError(ErrorCode.GATEWAY_STOPPING, "The gateway is stopping.")
                await self._inquiry.ready()
                body = b'{"status":"ready"}'
            case Endpoint.METRICS:
                kind, body = await self._inquiry.metrics(inbound)
            case _:
                body = b'{"status":"ok"}'
        answer.start(200, [("content-type", kind), *head])
        answer.finish(body)


def _attempts(exchange: Exchange | None) -> int:
    return 0 if exchange is None else exchange.attempts.made
