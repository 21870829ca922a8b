"""What an exchange leaves for the next one: thinking that its client was not shown."""

from tollbridge.app.ports import Vault
from tollbridge.config import Protocol
from tollbridge.translate.bridge import Ask, Kept
from tollbridge.translate.kept_thinking import lacking_thinking, with_thinking
from tollbridge.units import EnvId, Millis


async def recall(
    vault: Vault, env_id: EnvId, protocol: Protocol, ask: Ask, body: bytes, now: Millis
) -> bytes:
    """The request with the thinking that its client was not shown, or did not send back.

    A Messages client that asked for thinking has it and is left alone.
    """
    if not vault.may_hold(env_id) or (protocol == "messages" and ask.thinking):
        return body
    call_ids = lacking_thinking(protocol, body)
    kept = await vault.recall(env_id, call_ids, now) if call_ids else {}
    return with_thinking(protocol, body, kept) if kept else body


async def keep(vault: Vault, env_id: EnvId, kept: Kept | None, now: Millis) -> None:
    """Keep what an answer had, if it had any."""
    if kept is not None:
        await vault.keep(env_id, kept, now)
