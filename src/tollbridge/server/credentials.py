"""Who is asking: the presented key, and the environment that the host names."""

from collections.abc import Mapping

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import EnvId


def presented_key(headers: Mapping[str, str]) -> str:
    """The key from `Authorization: Bearer`, else from `x-api-key`.

    Bearer wins where both are sent and differ: SDKs that were told a bearer token may still send
    an `x-api-key` left over in their environment (protocol notes 0.3). A bare key in
    `Authorization` is accepted too.

    Raises:
        GatewayError: CREDENTIAL_MISSING.
    """
    authorization = headers.get("authorization", "").strip()
    scheme, *rest = authorization.split(None, 1) or [""]
    if rest and scheme.lower() == "bearer":
        key = rest[0]
    elif not rest and scheme.lower() not in ("", "bearer"):
        key = scheme
    else:
        key = headers.get("x-api-key", "").strip()
    if not key:
        raise GatewayError(
            ErrorCode.CREDENTIAL_MISSING,
            "No API key was sent: use the header `Authorization: Bearer <key>` or `x-api-key`.",
        )
    return key


def environment_of_host(host: str, domain: str) -> EnvId | None:
    """The environment that `<ENV_ID>.api.<domain>` names; None for any other host."""
    if not domain:
        return None
    name = host.partition(":")[0].rstrip(".").lower()
    suffix = f".api.{domain.lower()}"
    return EnvId(name.removesuffix(suffix)) if name.endswith(suffix) else None
