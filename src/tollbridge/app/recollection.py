"""What an exchange takes from the one before: thinking that its client was not shown."""

from tollbridge.app.ports import Vault
from tollbridge.config import Protocol
from tollbridge.translate.bridge import Ask
from tollbridge.translate.kept_thinking import lacking_thinking, with_thinking
from tollbridge.units import EnvId, Millis


async def recall(
    vault: Vault, env_id: EnvId, protocol: Protocol, ask: Ask, body: bytes, now: Millis
) -> bytes:
    """The request with the thinking that its client was not shown, or did not send back.

    A Messages client that asked for thinking has it and is left alone.
    """
    if protocol == "messages" and ask.thinking:
        return body
    call_ids = lacking_thinking(protocol, body)
    kept = await vault.recall(env_id, call_ids, now) if call_ids else {}
    return with_thinking(protocol, body, kept) if kept else body
