"""Units, identifiers and named limits.

Amounts of money are integers in micro-credits. One credit pays for one token at weight 1.
"""

from typing import NewType

MicroCredits = NewType("MicroCredits", int)
"""An amount on the ledger: a millionth of a credit. Never a float, never negative."""

Tokens = NewType("Tokens", int)
Millis = NewType("Millis", int)
"""Milliseconds since the Unix epoch (a moment) or between two moments (a span)."""

EnvId = NewType("EnvId", str)
KeyId = NewType("KeyId", str)
PackId = NewType("PackId", str)
RequestId = NewType("RequestId", str)
"""`req_` and 24 characters: identifies one exchange, its hold, its settlement and its receipt."""

MICRO = 1_000_000
"""Micro-credits in a credit."""

KIB = 1024
MIB = 1024 * KIB

BODY_BYTES_MAX_DEFAULT = 32 * MIB
"""A request body above this is refused with 413 while it is still being read."""

REQUESTS_MAX_DEFAULT = 4_096
"""Exchanges under way in one worker."""
QUEUE_MAX_DEFAULT = 256
"""Requests that wait in one worker for an exchange to end."""
QUEUE_WAIT_S_DEFAULT = 1.0
MEMORY_MIB_MAX_DEFAULT = 1_024
"""Memory of one worker above which it takes on no more exchanges."""
DRAIN_S_DEFAULT = 20.0
"""How long a gateway that stops waits for the exchanges under way."""

DESCRIPTORS_RESERVED = 64
"""File descriptors of a worker that are for its database, logs and sockets of its own. Half of the
others are for clients: each exchange may need another one for its upstream."""

BACKLOG = 4_096
"""Connections that the kernel keeps until a worker takes them."""
HEAD_BYTES_MAX = 64 * KIB
"""The request line and the headers of a client's request."""
HEADERS_MAX = 128
PIPELINED_MAX = 64
"""Requests that may wait behind the one being served; browsers and SDKs send none ahead."""
HEAD_S = 10.0
"""A client that takes longer to send a head is told so and dropped."""
BODY_GRACE_S = 30.0
BODY_BYTES_PER_S_MIN = 4 * KIB
"""A body may take `BODY_GRACE_S` and a second for each of these bytes."""
IDLE_S = 120.0
"""How long an unused connection of a client is kept: longer than proxies in front keep theirs."""
STALLED_S = 120.0
"""A client that takes nothing of its answer for so long is dropped."""
DISCARD_S = 10.0
"""How long the rest of a refused body is still read and thrown away."""

HEADER_CHARS_MAX = 2_048
"""Some of an answer's headers name members of the client's request; clients refuse heads of a few
kilobytes."""

IDLE_KEEP_S = 30.0
"""How long an unused connection to an upstream is kept: below the 60 s and more after which servers
and the boxes in between drop one without a word."""
REUSE_S = 300.0
"""How long one takes new requests: a name that leads elsewhere meanwhile is found."""
OVERHEAD_BYTES_MAX = 64 * KIB
"""Bytes in a row of an upstream's answer that are not body: the head with its interim responses,
chunk extensions, trailers. It is looked at after each read from the socket, which may overshoot it
once."""
BUFFER_BYTES_HIGH = 256 * KIB
"""Unread body of an upstream above which reading stops; one read of the socket (256 KiB) may come
on top. It starts again when the reader has taken what is there."""

EVENT_BYTES_MAX = 8 * MIB
"""One server-sent event of an upstream; a longer one is a protocol error, not a memory error."""

RESPONSE_BYTES_MAX = 64 * MIB
"""A one-shot answer of an upstream that has to be held in memory to be translated."""

HELD_BYTES_MAX = 64 * MIB
"""Memory for the tool calls' arguments and the thinking that the translation of one stream keeps,
and as much again for a turn that its upstream may pause."""

ERROR_BODY_BYTES_MAX = 64 * KIB
"""What is read of an upstream's error body."""

RAW_USAGE_CHARS_MAX = 4_096
"""What a usage record keeps of the usage in the upstream's own words."""

HEARTBEAT_MS = Millis(10_000)
"""Silence towards a streaming client before a heartbeat is sent (protocol notes C.9.6)."""

CHECKPOINT_MS = Millis(2_000)
"""At most this much of a stream is lost to the ledger when the process is killed."""

LEASE_MS = Millis(10_000)
"""A worker that has not renewed its lease for this long is dead; its holds are recovered."""

OUTPUT_FLOOR_TOKENS = Tokens(16)
"""A hold is never capped below this many output tokens: a shorter answer helps nobody."""

MINUTE_MS = Millis(60_000)
"""A window of the rate limits: a minute of the clock, not the last sixty seconds."""

ALERT_LEVELS_DEFAULT = (50, 80, 95, 100)
"""Percent of a pack that are spent when its owner is told."""

ALERT_RETRY_MS = Millis(2_000)
"""After this an alert that was not delivered is tried again; doubled with each try."""

ALERT_TRIES_MAX = 12
"""The last try comes about two hours after the first."""

assert LEASE_MS > 2 * CHECKPOINT_MS, "one late heartbeat must not kill a worker"
