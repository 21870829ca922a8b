-- The schema on SQLite, version 1 (PRAGMA user_version).
--
-- Every table that belongs to a tenant is keyed by environment first, so that a distributed
-- database can place a tenant's rows together. Amounts are micro-credits, moments are
-- milliseconds since the epoch. The CHECK constraints and triggers state the ledger's guarantees
-- once more, below the code that keeps them.

CREATE TABLE environments (
    env_id     TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    generation INTEGER NOT NULL DEFAULT 1 CHECK (generation > 0),
    -- limits; 0: none
    concurrency         INTEGER NOT NULL DEFAULT 0 CHECK (concurrency >= 0),
    requests_per_minute INTEGER NOT NULL DEFAULT 0 CHECK (requests_per_minute >= 0),
    tokens_per_minute   INTEGER NOT NULL DEFAULT 0 CHECK (tokens_per_minute >= 0)
) STRICT, WITHOUT ROWID;

-- Revoked and expired keys stay, so that a client is told which of the two happened.
CREATE TABLE keys (
    key_hash   BLOB    NOT NULL PRIMARY KEY CHECK (length(key_hash) = 32),
    key_id     TEXT    NOT NULL UNIQUE,
    env_id     TEXT    NOT NULL REFERENCES environments,
    name       TEXT    NOT NULL,
    hint       TEXT    NOT NULL CHECK (length(hint) <= 4),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    concurrency         INTEGER NOT NULL DEFAULT 0 CHECK (concurrency >= 0),
    requests_per_minute INTEGER NOT NULL DEFAULT 0 CHECK (requests_per_minute >= 0),
    tokens_per_minute   INTEGER NOT NULL DEFAULT 0 CHECK (tokens_per_minute >= 0),
    -- Whether what a target cannot take is refused instead of reported.
    strict              INTEGER NOT NULL DEFAULT 0 CHECK (strict = 0 OR strict = 1)
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_of_environment ON keys (env_id, created_at);

-- A row for each key that has a budget: what it may be charged in its life, what it was charged,
-- and what its exchanges under way hold. Settlements may take `charged` above `budget`.
CREATE TABLE budgets (
    env_id  TEXT    NOT NULL REFERENCES environments,
    key_id  TEXT    NOT NULL,
    budget  INTEGER NOT NULL CHECK (budget > 0),
    charged INTEGER NOT NULL CHECK (charged >= 0),
    held    INTEGER NOT NULL CHECK (held >= 0),
    PRIMARY KEY (env_id, key_id)
) STRICT, WITHOUT ROWID;

-- The last minute that was counted, of an environment (key_id is '') or of a key with a rate limit.
CREATE TABLE windows (
    env_id   TEXT    NOT NULL REFERENCES environments,
    key_id   TEXT    NOT NULL,
    minute   INTEGER NOT NULL,
    requests INTEGER NOT NULL CHECK (requests >= 0),
    tokens   INTEGER NOT NULL CHECK (tokens >= 0),
    PRIMARY KEY (env_id, key_id)
) STRICT, WITHOUT ROWID;

-- A row for each model of group `cloudbase` that is switched on.
CREATE TABLE switches (
    env_id TEXT NOT NULL REFERENCES environments,
    model  TEXT NOT NULL,
    PRIMARY KEY (env_id, model)
) STRICT, WITHOUT ROWID;

-- Upstreams that environments bring themselves. The secret is encrypted, and bound to the address.
CREATE TABLE groups (
    env_id       TEXT    NOT NULL REFERENCES environments,
    name         TEXT    NOT NULL CHECK (name <> '' AND name NOT LIKE 'cloudbase%'),
    base_url     TEXT    NOT NULL,
    protocol     TEXT    NOT NULL CHECK (protocol = 'messages' OR protocol = 'chat'),
    dialect      TEXT    NOT NULL,
    output_limit INTEGER NOT NULL CHECK (output_limit > 0),
    secret       BLOB    NOT NULL,
    hint         TEXT    NOT NULL CHECK (length(hint) <= 4),
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (env_id, name)
) STRICT, WITHOUT ROWID;

-- The models that a group serves; `*`: whatever is asked for.
CREATE TABLE group_models (
    env_id     TEXT NOT NULL,
    group_name TEXT NOT NULL,
    model      TEXT NOT NULL CHECK (model <> ''),
    PRIMARY KEY (env_id, group_name, model),
    FOREIGN KEY (env_id, group_name) REFERENCES groups
) STRICT, WITHOUT ROWID;

CREATE TABLE packs (
    env_id     TEXT    NOT NULL REFERENCES environments,
    pack_id    TEXT    NOT NULL,
    granted    INTEGER NOT NULL CHECK (granted >= 0), -- with all corrections
    available  INTEGER NOT NULL CHECK (available >= 0),
    held       INTEGER NOT NULL CHECK (held >= 0),
    spent      INTEGER NOT NULL CHECK (spent >= 0),
    expired    INTEGER NOT NULL CHECK (expired >= 0),
    granted_at INTEGER NOT NULL,
    expires_at INTEGER,
    models     TEXT    NOT NULL DEFAULT '[]', -- a JSON array
    seq        INTEGER NOT NULL CHECK (seq > 0), -- of its last transfer; they count from 1
    PRIMARY KEY (env_id, pack_id),
    CHECK (granted = available + held + spent + expired)
) STRICT, WITHOUT ROWID;

-- Keeps the hot path from reading the packs that were used up long ago.
CREATE INDEX packs_live ON packs (env_id) WHERE available + held > 0;

-- What moved credits, except the hold and its end in the first pack of an exchange: of those the
-- exchange's own row is the record. See the view `journal`. A transfer is numbered within its pack.
CREATE TABLE transfers (
    env_id     TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN (
        'hold', 'post', 'void', 'spend', 'overrun', 'grant', 'expire', 'add', 'take_back')),
    leg        INTEGER NOT NULL CHECK (leg >= 0 AND (leg > 0 OR kind NOT IN ('hold', 'post', 'void'))),
    pack_id    TEXT CHECK ((pack_id IS NULL) = (kind = 'overrun')),
    seq        INTEGER NOT NULL CHECK ((seq = 0 AND kind = 'overrun') OR (seq > 0 AND kind <> 'overrun')),
    amount     INTEGER NOT NULL CHECK (amount > 0),
    released   INTEGER NOT NULL CHECK (released >= 0 AND (released = 0 OR kind = 'post')),
    at         INTEGER NOT NULL,
    PRIMARY KEY (env_id, request_id, kind, leg)
) STRICT, WITHOUT ROWID;

-- A leg of a hold ends once.
CREATE UNIQUE INDEX leg_ends_once ON transfers (env_id, request_id, leg)
 WHERE kind = 'post' OR kind = 'void';

CREATE TRIGGER transfers_no_update BEFORE UPDATE ON transfers
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER transfers_no_delete BEFORE DELETE ON transfers
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- Exchanges under way, a row per leg. An exchange of a free model has one leg without a pack. What
-- a worker's death leaves behind is in leg 0: the last checkpoint.
CREATE TABLE holds (
    env_id      TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    leg         INTEGER NOT NULL CHECK (leg >= 0),
    pack_id     TEXT,
    amount      INTEGER NOT NULL CHECK (amount >= 0 AND (pack_id IS NULL) = (amount = 0)),
    seq         INTEGER NOT NULL CHECK ((seq = 0) = (amount = 0)), -- of the transfer
    key_id      TEXT    NOT NULL,
    model       TEXT    NOT NULL,
    worker_id   TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    client_protocol TEXT NOT NULL,
    stream          INTEGER NOT NULL CHECK (stream = 0 OR stream = 1),
    price_version   TEXT NOT NULL,
    -- what else has to be put right when it ends: tokens in the minute of `started_at`, the budget
    window_tokens INTEGER NOT NULL CHECK (window_tokens >= 0),
    budgeted      INTEGER NOT NULL CHECK (budgeted = 0 OR budgeted = 1),
    upstream       TEXT NOT NULL DEFAULT '',
    upstream_model TEXT NOT NULL DEFAULT '',
    input       INTEGER NOT NULL DEFAULT 0,
    cache_read  INTEGER NOT NULL DEFAULT 0,
    cache_write INTEGER NOT NULL DEFAULT 0,
    output      INTEGER NOT NULL DEFAULT 0,
    reasoning   INTEGER NOT NULL DEFAULT 0,
    charge      INTEGER NOT NULL DEFAULT 0 CHECK (charge >= 0),
    PRIMARY KEY (env_id, request_id, leg)
) STRICT, WITHOUT ROWID;

-- One row for each exchange that ended. It is also the journal's record of the hold in the first
-- pack and of its end: what was posted of it and what was released, and the numbers of
-- the two transfers.
CREATE TABLE usage_records (
    env_id          TEXT    NOT NULL,
    request_id      TEXT    NOT NULL,
    ended_at        INTEGER NOT NULL,
    key_id          TEXT    NOT NULL,
    model           TEXT    NOT NULL,
    upstream        TEXT    NOT NULL,
    upstream_model  TEXT    NOT NULL,
    client_protocol TEXT    NOT NULL,
    stream          INTEGER NOT NULL CHECK (stream = 0 OR stream = 1),
    started_at      INTEGER NOT NULL,
    input           INTEGER NOT NULL CHECK (input >= 0),
    cache_read      INTEGER NOT NULL CHECK (cache_read >= 0),
    cache_write     INTEGER NOT NULL CHECK (cache_write >= 0),
    output          INTEGER NOT NULL CHECK (output >= 0),
    reasoning       INTEGER NOT NULL CHECK (reasoning >= 0),
    amount          INTEGER NOT NULL CHECK (amount >= 0),
    overrun         INTEGER NOT NULL CHECK (overrun BETWEEN 0 AND amount),
    provenance      TEXT    NOT NULL,
    outcome         TEXT    NOT NULL,
    price_version   TEXT    NOT NULL,
    raw_usage       TEXT    NOT NULL, -- as the upstream reported it, or ''
    pack_id         TEXT,
    posted          INTEGER NOT NULL CHECK (posted >= 0),
    released        INTEGER NOT NULL CHECK (released >= 0 AND (pack_id IS NULL) = (posted + released = 0)),
    held_at         INTEGER NOT NULL,
    held_seq        INTEGER NOT NULL CHECK ((held_seq = 0) = (pack_id IS NULL)),
    ended_seq       INTEGER NOT NULL CHECK (ended_seq > held_seq OR pack_id IS NULL),
    CHECK (posted + overrun <= amount),
    PRIMARY KEY (env_id, request_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER usage_no_update BEFORE UPDATE ON usage_records
BEGIN SELECT RAISE(ABORT, 'usage records are append-only'); END;

CREATE TRIGGER usage_no_delete BEFORE DELETE ON usage_records
BEGIN SELECT RAISE(ABORT, 'usage records are append-only'); END;

-- The journal: everything that ever moved credits, a row for each transfer. `request_id` is the
-- exchange's; of a grant, and of the expiry of what a pack had available when its validity ended,
-- it is the pack's id; of a correction it is its own. `seq` numbers the transfers of a pack.
CREATE VIEW journal AS
SELECT env_id, request_id, kind, leg, pack_id, seq, amount, released, at FROM transfers
UNION ALL
SELECT env_id, request_id, 'hold', 0, pack_id, seq, amount, 0, started_at
  FROM holds WHERE leg = 0 AND pack_id IS NOT NULL
UNION ALL
SELECT env_id, request_id, 'hold', 0, pack_id, held_seq, posted + released, 0, held_at
  FROM usage_records WHERE pack_id IS NOT NULL
UNION ALL
SELECT env_id, request_id, 'post', 0, pack_id, ended_seq, posted, released, ended_at
  FROM usage_records WHERE posted > 0
UNION ALL
SELECT env_id, request_id, 'void', 0, pack_id, ended_seq, released, 0, ended_at
  FROM usage_records WHERE pack_id IS NOT NULL AND posted = 0;

-- A request id is admitted once, also when its exchange has ended.
CREATE TRIGGER holds_once BEFORE INSERT ON holds
WHEN EXISTS (
    SELECT 1 FROM usage_records WHERE env_id = NEW.env_id AND request_id = NEW.request_id)
BEGIN SELECT RAISE(ABORT, 'this request id was admitted before'); END;

-- Processes that serve exchanges. One whose lease ran out is dead, and its holds are recovered.
CREATE TABLE workers (
    worker_id   TEXT    NOT NULL PRIMARY KEY,
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every price book that was ever charged by, as JSON; the version is a hash of its content.
CREATE TABLE price_versions (
    version  TEXT    NOT NULL PRIMARY KEY,
    book     TEXT    NOT NULL,
    since    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER price_versions_no_update BEFORE UPDATE ON price_versions
BEGIN SELECT RAISE(ABORT, 'a price version never changes'); END;

CREATE TRIGGER price_versions_no_delete BEFORE DELETE ON price_versions
BEGIN SELECT RAISE(ABORT, 'price versions stay'); END;

-- Why a pack was corrected; the transfer is in the journal. A negative amount was taken back.
CREATE TABLE corrections (
    env_id        TEXT    NOT NULL,
    correction_id TEXT    NOT NULL,
    pack_id       TEXT    NOT NULL,
    amount        INTEGER NOT NULL CHECK (amount <> 0),
    reason        TEXT    NOT NULL CHECK (reason <> ''),
    at            INTEGER NOT NULL,
    PRIMARY KEY (env_id, correction_id),
    FOREIGN KEY (env_id, pack_id) REFERENCES packs
) STRICT, WITHOUT ROWID;

CREATE TRIGGER corrections_no_update BEFORE UPDATE ON corrections
BEGIN SELECT RAISE(ABORT, 'corrections are append-only'); END;

CREATE TRIGGER corrections_no_delete BEFORE DELETE ON corrections
BEGIN SELECT RAISE(ABORT, 'corrections are append-only'); END;

-- A row for each level that the spent part of a pack has reached; written with the settlement that
-- did it. Whoever takes one to deliver moves `next_try` into the future.
CREATE TABLE alerts (
    env_id   TEXT    NOT NULL,
    pack_id  TEXT    NOT NULL,
    level    INTEGER NOT NULL CHECK (level > 0),
    at       INTEGER NOT NULL,
    granted  INTEGER NOT NULL,
    spent    INTEGER NOT NULL,
    tries    INTEGER NOT NULL DEFAULT 0,
    next_try INTEGER, -- NULL: delivered or given up
    PRIMARY KEY (env_id, pack_id, level)
) STRICT, WITHOUT ROWID;

CREATE INDEX alerts_waiting ON alerts (next_try) WHERE next_try IS NOT NULL;
