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

CUT_S = 5.0
"""How long exchanges that were ended may take to be settled; what is not settled then is spooled
or recovered."""
FLUSH_S = 2.0
"""How long the last bytes of a stopping worker may take to leave."""

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
"""How long the rest of a refused body is still read and thrown away; what comes of it pays for more
time as that of any body does."""
DISCARD_BYTES_MAX = 16 * MIB
"""Bytes of a body that are read and thrown away beyond the largest one; whoever goes on is hung up
on."""

MODEL_CHARS_MAX = 200
"""Of a model's name in a group that passes every name on: it is written into the ledger."""
PLACED_BYTES_MAX = 4 * MIB
"""A body that is announced to be longer gets memory as it comes, not beforehand."""
KEPT_BYTES_MAX = 16 * MIB
"""Freed memory at the end of the heap that is not given back: long bodies need it again."""

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

ERROR_BODY_S = 5.0
"""How long to wait for it: the status counts even without, and another target may do better."""

LINGER_S = 1.0
"""How long to wait for the end of an upstream body whose terminal event has been seen; a body that
ends in time leaves its connection for the next request."""
TOOL_CALLS_MAX = 4_096
"""Tool calls, or pieces of reasoning, in one answer; more than that is a runaway."""
BLOCKS_MAX = 4_096
"""Content blocks in one message; more than that is a runaway, not an answer."""
RESUMES_MAX = 8
"""A turn that is paused more often ends in `length`: not whole, and the client may go on."""
HIDDEN_THINKING_BYTES_MAX = 4 * MIB
"""What one signature may unpack to; more is a bomb, not a thought."""
COUNT_TIMEOUT_S = 5.0
"""A count that takes longer is worth less than an estimate now."""
ASK_AGAIN_AFTER_MS = 300_000
"""How long an upstream that does not know the endpoint is not asked again."""

RAW_USAGE_CHARS_MAX = 4_096
"""What a usage record keeps of the usage in the upstream's own words."""

KEYS_MAX = 50_000
"""Keys kept in memory; about 500 bytes each."""
GROUPS_MAX = 1_000
"""Groups kept in memory, a few kB each. Their connections are closed when idle, like all others."""
GROUP_LOOKUPS_MAX = 8
"""Names of environments' own servers that one worker looks up at a time."""
TLS_NAMES_MAX = 128
"""Servers whose TLS sessions are remembered; a TLS object takes about 64 KiB."""
HEADS_MAX = 64
"""How many heads are remembered; clients of one kind send the same headers on."""
HEADER_NAMES_MAX = 1_000
"""Header names of clients that are remembered; the same few come with every request."""
PATHS_MAX = 512
"""Paths that were looked up are remembered: clients ask for the same few."""
PATH_CHARS_MAX = 512
"""Characters of a path that is remembered: whoever has no key could fill the memory with others."""
MODELS_MAX = 1_000
"""Models whose prompts' tokens are learned."""
OUTLIERS_MAX = 10_000
"""Records kept. Only tenants' own upstreams could reach it, and models named there; the oldest of
theirs goes."""
UNKNOWN_NAMES_MAX = 200
"""Names are of clients' choosing: beyond so many they are counted together and not logged."""
ENTRIES_MAX = 4_096
"""With more environments and limited keys than this all is dropped, so that it cannot grow on."""
VAULT_MS = Millis(3_600_000)
"""How long thinking waits for the next turn."""
VAULT_ENTRY_BYTES_MAX = 1 * MIB
"""More thinking than this in one turn is not kept."""
VAULT_ENVIRONMENT_BYTES_MAX = 8 * MIB
"""The thinking of one environment; the oldest makes room."""
VAULT_BYTES_MAX = 64 * MIB
"""The thinking of all; the oldest makes room."""

HEARTBEAT_MS = Millis(10_000)
"""Silence towards a streaming client before a heartbeat is sent (protocol notes C.9.6)."""

CHECKPOINT_MS = Millis(2_000)
"""At most this much of a stream is lost to the ledger when the process is killed."""

LEASE_MS = Millis(10_000)
"""A worker that has not renewed its lease for this long is dead; its holds are recovered."""

GIVE_UP_S = 5.0
"""A command that a database keeps waiting for so long ends: the database counts as away."""
DATABASE_CONNECT_S = 3.0
"""For all hosts of a PostgreSQL address together."""
DATABASE_ANSWER_S = 10.0
"""A PostgreSQL server that is silent for this long counts as away."""

OUTPUT_FLOOR_TOKENS = Tokens(16)
"""A hold is never capped below this many output tokens: a shorter answer helps nobody."""

MINUTE_MS = Millis(60_000)
"""A window of the rate limits: a minute of the clock, not the last sixty seconds."""

ALERT_LEVELS_DEFAULT = (50, 80, 95, 100)
"""Percent of a pack that are spent when its owner is told."""

ALERT_TIMEOUT_S = 15.0
"""How long the webhook may take to answer."""

ALERT_RETRY_MS = Millis(2_000)
"""After this an alert that was not delivered is tried again; doubled with each try."""

ALERT_TRIES_MAX = 12
"""The last try comes about two hours after the first."""

assert LEASE_MS > 2 * CHECKPOINT_MS, "one late heartbeat must not kill a worker"
