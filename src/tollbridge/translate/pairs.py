"""Which bridge serves which pair of protocols. A third vocabulary joins by its rows here."""

from collections.abc import Callable

from tollbridge.config import Protocol
from tollbridge.translate.bridge import Ask, Bridge, Identity
from tollbridge.translate.chat_identity import ChatIdentity
from tollbridge.translate.chat_on_messages import ChatOnMessages
from tollbridge.translate.identity import MessagesIdentity
from tollbridge.translate.messages_on_chat import MessagesOnChat

BRIDGES: dict[tuple[Protocol, Protocol], Callable[[Ask, bytes, Identity], Bridge]] = {
    # The key names the client first, then the upstream.
    ("messages", "messages"): MessagesIdentity,
    ("messages", "chat"): MessagesOnChat,
    ("chat", "messages"): ChatOnMessages,
    ("chat", "chat"): ChatIdentity,
}


def open_bridge(
    client: Protocol, upstream: Protocol, ask: Ask, body: bytes, identity: Identity
) -> Bridge:
    """The bridge of one exchange from a client's protocol to an upstream's."""
    return BRIDGES[client, upstream](ask, body, identity)
