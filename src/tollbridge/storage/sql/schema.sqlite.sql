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
    generation INTEGER NOT NULL DEFAULT 1 CHECK (generation > 0)
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
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_of_environment ON keys (env_id, created_at);

-- A row for each model of group `cloudbase` that is switched on.
CREATE TABLE switches (
    env_id TEXT NOT NULL REFERENCES environments,
    model  TEXT NOT NULL,
    PRIMARY KEY (env_id, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE packs (
    env_id     TEXT    NOT NULL REFERENCES environments,
    pack_id    TEXT    NOT NULL,
    granted    INTEGER NOT NULL CHECK (granted > 0),
    available  INTEGER NOT NULL CHECK (available >= 0),
    held       INTEGER NOT NULL CHECK (held >= 0),
    spent      INTEGER NOT NULL CHECK (spent >= 0),
    expired    INTEGER NOT NULL CHECK (expired >= 0),
    granted_at INTEGER NOT NULL,
    expires_at INTEGER,
    models     TEXT    NOT NULL DEFAULT '[]', -- a JSON array
    PRIMARY KEY (env_id, pack_id),
    CHECK (granted = available + held + spent + expired)
) STRICT, WITHOUT ROWID;

-- Keeps the hot path from reading the packs that were used up long ago.
CREATE INDEX packs_live ON packs (env_id) WHERE available + held > 0;

-- What moved credits. `request_id` is the exchange's; of a grant, and of the expiry of what a pack
-- had available when its validity ended, it is the pack's id.
CREATE TABLE journal (
    seq        INTEGER NOT NULL PRIMARY KEY,
    env_id     TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    kind       TEXT    NOT NULL CHECK ( -- an IN list would cost more than the rest of the insert
        kind = 'hold' OR kind = 'post' OR kind = 'void' OR kind = 'spend' OR kind = 'overrun'
        OR kind = 'grant' OR kind = 'expire'),
    leg        INTEGER NOT NULL CHECK (leg >= 0),
    pack_id    TEXT    CHECK ((pack_id IS NULL) = (kind = 'overrun')),
    amount     INTEGER NOT NULL CHECK (amount > 0),
    released   INTEGER NOT NULL CHECK (released >= 0 AND (released = 0 OR kind = 'post')),
    at         INTEGER NOT NULL
) STRICT;

-- A post and a void share a name here: a leg of a hold ends once.
CREATE UNIQUE INDEX journal_once ON journal (
    env_id, request_id, (CASE kind WHEN 'void' THEN 'post' ELSE kind END), leg);

CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- Exchanges under way, a row per leg. An exchange of a free model has one leg without a pack. What
-- a worker's death leaves behind is in leg 0: the last checkpoint.
CREATE TABLE holds (
    env_id      TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    leg         INTEGER NOT NULL CHECK (leg >= 0),
    pack_id     TEXT,
    amount      INTEGER NOT NULL CHECK (amount >= 0 AND (pack_id IS NULL) = (amount = 0)),
    key_id      TEXT    NOT NULL,
    model       TEXT    NOT NULL,
    worker_id   TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    input       INTEGER NOT NULL DEFAULT 0,
    cache_read  INTEGER NOT NULL DEFAULT 0,
    cache_write INTEGER NOT NULL DEFAULT 0,
    output      INTEGER NOT NULL DEFAULT 0,
    reasoning   INTEGER NOT NULL DEFAULT 0,
    charge      INTEGER NOT NULL DEFAULT 0 CHECK (charge >= 0),
    PRIMARY KEY (env_id, request_id, leg)
) STRICT, WITHOUT ROWID;

-- One row for each exchange that ended, in the order in which usage is asked for.
CREATE TABLE usage_records (
    env_id          TEXT    NOT NULL,
    ended_at        INTEGER NOT NULL,
    request_id      TEXT    NOT NULL,
    key_id          TEXT    NOT NULL,
    model           TEXT    NOT NULL,
    upstream        TEXT    NOT NULL,
    client_protocol TEXT    NOT NULL,
    stream          INTEGER NOT NULL CHECK (stream IN (0, 1)),
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
    PRIMARY KEY (env_id, ended_at, request_id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX usage_once ON usage_records (env_id, request_id);

CREATE TRIGGER usage_no_update BEFORE UPDATE ON usage_records
BEGIN SELECT RAISE(ABORT, 'usage records are append-only'); END;

CREATE TRIGGER usage_no_delete BEFORE DELETE ON usage_records
BEGIN SELECT RAISE(ABORT, 'usage records are append-only'); END;

-- Processes that serve exchanges. One whose lease ran out is dead, and its holds are recovered.
CREATE TABLE workers (
    worker_id   TEXT    NOT NULL PRIMARY KEY,
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
