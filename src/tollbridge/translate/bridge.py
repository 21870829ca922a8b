"""What one exchange asks of the translation between its client and its upstream.

A `Bridge` serves one exchange: it writes the upstream's request, and turns the one-shot answer or
the stream into the client's protocol. It is pure: bytes in, bytes out. The identity pair is a
bridge too; it keeps bytes and only looks. A third vocabulary joins by a row in `pairs.BRIDGES`.
"""

from typing import NamedTuple, Protocol

import msgspec

from tollbridge.dialect_config import DialectOverrides, SystemMessages
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.prompt_features import Features
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.usage import TokenUsage

SAMPLING_VERSION = "2023-06-01"
"""The last `anthropic-version` under which sampling parameters are accepted."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway needs to know of a client's request, in no protocol's words."""

    model: str
    stream: bool
    max_tokens: int | None
    """What the client allows, for all choices together; None: it did not say."""
    choices: int = 1
    """Chat's `n`: how many answers the client wants."""
    thinking: bool
    """Whether the client asked to see thinking; one that did not gets none."""
    sampling: bool = False
    """Messages: whether `temperature`, `top_p` or `top_k` is there, which the newer version of the
    protocol refuses (protocol notes 0.2)."""
    include_usage: bool = True
    """Chat: `stream_options.include_usage`. The usage is sent either way."""
    prompt: Features | None = None
    """What the estimate was made of, so that it can be corrected by what the upstream reports."""
    input_estimate: int = 0
    """Expected tokens of the prompt, for `message_start` (protocol notes C.9.5)."""
    input_bound: int = 0
    """Upper bound of the tokens of the prompt, for the hold."""


class Identity(msgspec.Struct, frozen=True, gc=False):
    """The ids and the time that an answer bears; entropy and clock are the caller's."""

    request_id: str
    message_id: str
    """Random characters, without the prefix of a protocol (`msg_`, `chatcmpl-`)."""
    created_s: int
    seal_key: bytes = b""
    """Authenticates the thinking that a client keeps for the upstream; the same on every replica
    and after a restart. Empty: a tag without a secret."""


class UpstreamTerms(msgspec.Struct, frozen=True, gc=False):
    """How this target wants to be spoken to."""

    model: str
    dialect: str
    max_tokens: int
    """The output that is paid for; the request says so to the upstream."""
    system_messages: SystemMessages | None = None
    """Where later system messages go; None: as the dialect has it."""
    avoid: ErrorCode | None = None
    """What the upstream refused this request for; it is written again without the cause."""
    overrides: DialectOverrides | None = None
    """What this server does otherwise than its dialect."""


class Kept(NamedTuple):
    """Thinking of a turn with tool calls, as Messages blocks, for the next request."""

    call_id: str
    """Of the turn's first tool call, as the client knows it."""
    blocks: bytes
    """A JSON array of `thinking` and `redacted_thinking` blocks."""


class Reply(msgspec.Struct, frozen=True, gc=False):
    """A one-shot answer in the client's protocol."""

    body: bytes
    usage: TokenUsage | None
    """As reported by the upstream; None: it reported none."""
    counted_output: int
    """Our own count of the output's tokens."""
    kept: Kept | None = None
    """Thinking that the client was not shown and the upstream needs back."""


class StreamBridge(Protocol):
    """The stream's state: fed with upstream bytes, drained of client bytes.

    An error inside the stream is told to the client in the bytes that `feed` or `close` return, and
    noted in `failure` so that the exchange is settled rightly.
    """

    usage: TokenUsage | None
    """Reported so far; the last word after `close`."""
    failure: GatewayError | None
    """Set when the upstream reported an error or was cut."""
    finished: bool
    """The answer is whole: the upstream's terminal event has been seen, or a stop sequence."""
    stopped_early: bool
    """The answer was ended here: the upstream is to be cancelled, not waited for."""
    kept: Kept | None
    """Thinking that the client was not shown and the upstream needs back. Complete at the end."""
    notable: bytes
    """What of the bytes fed last is more than another text where texts have been before; all else
    that they tell stands in it."""

    @property
    def counted_output(self) -> int:
        """Our own count of the output tokens delivered so far."""

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes as they arrive, give client bytes, possibly none yet."""

    def close(self) -> bytes:
        """The upstream's bytes have ended. A stream that was cut ends in a true error."""

    def fail(self, error: GatewayError) -> bytes:
        """The error that ends the stream when something outside of it went wrong."""


class GatheredAnswer(StreamBridge, Protocol):
    """A stream of the upstream for a client that wants one answer; what is fed gives no bytes."""

    def reply(self) -> Reply:
        """The answer, once `finished`."""


class Bridge(Protocol):
    """One client-upstream pair, for one exchange."""

    dropped: tuple[str, ...] = ()
    """Fields of the client's request that the upstream's protocol has no word for. Complete after
    `request`."""
    pin_version: str | None = None
    """The `anthropic-version` that the translated request is written in; None: the client's."""
    gathers: bool = False
    """The upstream is asked for a stream although the client wants one answer, so that it can be
    cancelled where the answer is to end, or when the client leaves. Known after `request`."""
    unknown: UnknownNames
    """What both sides said that the vocabularies do not know."""

    def local(self) -> Reply | None:
        """The answer, where no upstream is needed for it; asked before `request`.

        Raises:
            GatewayError: the request contradicts itself.
        """
        return None

    def request(self, terms: UpstreamTerms) -> bytes:
        """The body to send to the upstream. May be called again for another target.

        Raises:
            GatewayError: the request cannot be said in the upstream's protocol.
        """

    def reply(self, body: bytes) -> Reply:
        """The one-shot answer.

        Raises:
            GatewayError: the body is no answer of the upstream's protocol, or an error in disguise.
        """

    def stream(self) -> StreamBridge:
        """The state of a stream that begins now, or goes on after `resume`."""

    def resume(self) -> bytes | None:
        """What to ask the upstream next, if it paused the answer that has just ended; what it then
        says goes on with it. None: the answer is whole.
        """
        return None

    def gather(self) -> GatheredAnswer:
        """The state of a stream that becomes one answer, where `gathers` says so."""
        raise NotImplementedError
