"""The data plane as one ASGI callable."""

import contextlib

import msgspec

from tollbridge.access.keys import REQUEST_ID_ENTROPY_BYTES, mint_request_id
from tollbridge.app.exchange import Exchange
from tollbridge.app.gateway import Gateway
from tollbridge.app.inquiry import Inquiry
from tollbridge.app.ports import Inbound
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server.cors import preflight
from tollbridge.server.credentials import environment_of_host, presented_key
from tollbridge.server.inbound import (
    ClientGoneError,
    Receive,
    RequestBody,
    Scope,
    Send,
    header_map,
)
from tollbridge.server.models import model_list, model_object
from tollbridge.server.outbound import AsgiClient
from tollbridge.server.problems import answer_problem, dialect_of
from tollbridge.server.receipts import receipt_body
from tollbridge.server.routes import PROTOCOLS, Endpoint, Route, route


class Application:
    """Answers HTTP requests for one worker."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._inquiry = Inquiry(gateway)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, to its end. Errors become answers here and nowhere else."""
        gateway = self._gateway
        request_id = mint_request_id(gateway.clock(), gateway.entropy(REQUEST_ID_ENTROPY_BYTES))
        method: str = scope["method"]
        path: str = scope["path"]
        headers = header_map(scope)
        client = AsgiClient(receive, send, request_id, head_only=method == "HEAD")
        if method == "OPTIONS":
            await client.start(204, preflight(headers))
            await client.finish()
            return
        body = RequestBody(receive, gateway.config.server.body_bytes_max)
        protocol = dialect_of(path, headers)
        exchange: Exchange | None = None
        try:
            found = route(method, path)
            protocol = PROTOCOLS.get(found.endpoint, protocol)
            inbound = Inbound(
                request_id=request_id,
                protocol=protocol,
                group=found.group,
                env_id=environment_of_host(headers.get("host", ""), gateway.config.server.domain),
                headers=headers,
                presented_key=lambda: presented_key(headers),
                body=body.read,
            )
            if found.endpoint in (Endpoint.MESSAGES, Endpoint.CHAT):
                exchange = Exchange(gateway, inbound, client)
                await exchange.run()
            else:
                await self._answer(found, inbound, client)
        except GatewayError as error:
            if exchange is None:
                gateway.observer.request_refused(request_id, protocol, error)
            with contextlib.suppress(ClientGoneError):
                await body.discard()
                await answer_problem(client, protocol, error, request_id)
        except ClientGoneError:
            return
        except Exception as error:  # noqa: BLE001  # the last door: a bug must not lose the answer
            gateway.observer.trouble(f"bug in {request_id}", error)
            if not client.started:
                problem = GatewayError(
                    ErrorCode.INTERNAL,
                    f"Something went wrong in the gateway; its operator finds it as {request_id}.",
                )
                await answer_problem(client, protocol, problem, request_id)

    async def _answer(self, found: Route, inbound: Inbound, client: AsgiClient) -> None:
        kind = "application/json"
        head = []
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
                await self._inquiry.ready()
                body = b'{"status":"ready"}'
            case Endpoint.METRICS:
                kind, body = await self._inquiry.metrics(inbound)
            case _:
                body = b'{"status":"ok"}'
        head += [("content-type", kind), ("content-length", str(len(body)))]
        await client.start(200, head)
        await client.finish(body)
