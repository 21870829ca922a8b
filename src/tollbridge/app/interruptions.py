"""What a client is told when the gateway itself ends an answer before its end."""

from tollbridge.errors import ErrorCode, GatewayError


def stopping() -> GatewayError:
    """The worker is about to leave."""
    return GatewayError(ErrorCode.GATEWAY_STOPPING, "The gateway is stopping; send it again.")


def bug_midway() -> GatewayError:
    """A bug; told when the head of the answer is out, and logged in any case."""
    return GatewayError(
        ErrorCode.INTERNAL, "Something went wrong in the gateway, in the middle of this."
    )
