-- The schema on PostgreSQL, version 1 (table `schema_version`).
--
-- Every table of a tenant has a primary key that begins with `env_id`, and foreign keys stay within
-- one environment, so that a distributed PostgreSQL can keep an environment on one shard. There is
-- no sequence: `environments.seq` counts an environment's changes, a pack numbers its transfers. `keys`,
-- `workers`, `price_versions` and `schema_version` are small and belong to no environment.
-- Amounts are micro-credits, moments are milliseconds since the epoch. The CHECK constraints and
-- triggers state the ledger's guarantees once more, below the code that keeps them.

CREATE TABLE schema_version (
    version bigint NOT NULL PRIMARY KEY
);

-- Rows that are written often have room beside them, so that a new version stays on its page.
CREATE TABLE environments (
    env_id     text   NOT NULL PRIMARY KEY,
    name       text   NOT NULL,
    created_at bigint NOT NULL,
    generation bigint NOT NULL DEFAULT 1 CHECK (generation > 0),
    -- limits; 0: none
    concurrency         bigint NOT NULL DEFAULT 0 CHECK (concurrency >= 0),
    requests_per_minute bigint NOT NULL DEFAULT 0 CHECK (requests_per_minute >= 0),
    tokens_per_minute   bigint NOT NULL DEFAULT 0 CHECK (tokens_per_minute >= 0),
    -- Whoever changes anything of an environment raises it; who decided on another value has to
    -- decide again.
    seq        bigint NOT NULL DEFAULT 0 CHECK (seq >= 0)
) WITH (fillfactor = 50);

-- Revoked and expired keys stay, so that a client is told which of the two happened.
CREATE TABLE keys (
    key_hash   bytea  NOT NULL PRIMARY KEY CHECK (length(key_hash) = 32),
    key_id     text   NOT NULL UNIQUE,
    env_id     text   NOT NULL,
    name       text   NOT NULL,
    hint       text   NOT NULL CHECK (length(hint) <= 4),
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    concurrency         bigint NOT NULL DEFAULT 0 CHECK (concurrency >= 0),
    requests_per_minute bigint NOT NULL DEFAULT 0 CHECK (requests_per_minute >= 0),
    tokens_per_minute   bigint NOT NULL DEFAULT 0 CHECK (tokens_per_minute >= 0),
    -- Whether what a target cannot take is refused instead of reported.
    strict              bigint NOT NULL DEFAULT 0 CHECK (strict IN (0, 1))
);

CREATE INDEX keys_of_environment ON keys (env_id, created_at);

-- A row for each key that has a budget: what it may be charged in its life, what it was charged,
-- and what its exchanges under way hold. Settlements may take `charged` above `budget`.
CREATE TABLE budgets (
    env_id  text   NOT NULL REFERENCES environments,
    key_id  text   NOT NULL,
    budget  bigint NOT NULL CHECK (budget > 0),
    charged bigint NOT NULL CHECK (charged >= 0),
    held    bigint NOT NULL CHECK (held >= 0),
    PRIMARY KEY (env_id, key_id)
) WITH (fillfactor = 50);

-- The last minute that was counted, of an environment (key_id is '') or of a key with a rate limit.
CREATE TABLE windows (
    env_id   text   NOT NULL REFERENCES environments,
    key_id   text   NOT NULL,
    minute   bigint NOT NULL,
    requests bigint NOT NULL CHECK (requests >= 0),
    tokens   bigint NOT NULL CHECK (tokens >= 0),
    PRIMARY KEY (env_id, key_id)
) WITH (fillfactor = 50);

-- A row for each model of group `cloudbase` that is switched on.
CREATE TABLE switches (
    env_id text NOT NULL REFERENCES environments,
    model  text NOT NULL,
    PRIMARY KEY (env_id, model)
);

-- Upstreams that environments bring themselves. The secret is encrypted, and bound to the address.
CREATE TABLE groups (
    env_id       text   NOT NULL REFERENCES environments,
    name         text   NOT NULL CHECK (name <> '' AND name NOT LIKE 'cloudbase%'),
    base_url     text   NOT NULL,
    protocol     text   NOT NULL CHECK (protocol IN ('messages', 'chat')),
    dialect      text   NOT NULL,
    output_limit bigint NOT NULL CHECK (output_limit > 0),
    secret       bytea  NOT NULL,
    hint         text   NOT NULL CHECK (length(hint) <= 4),
    created_at   bigint NOT NULL,
    PRIMARY KEY (env_id, name)
);

-- The models that a group serves; `*`: whatever is asked for.
CREATE TABLE group_models (
    env_id     text NOT NULL,
    group_name text NOT NULL,
    model      text NOT NULL CHECK (model <> ''),
    PRIMARY KEY (env_id, group_name, model),
    FOREIGN KEY (env_id, group_name) REFERENCES groups
);

CREATE TABLE packs (
    env_id     text   NOT NULL REFERENCES environments,
    pack_id    text   NOT NULL,
    granted    bigint NOT NULL CHECK (granted >= 0), -- with all corrections
    available  bigint NOT NULL CHECK (available >= 0),
    held       bigint NOT NULL CHECK (held >= 0),
    spent      bigint NOT NULL CHECK (spent >= 0),
    expired    bigint NOT NULL CHECK (expired >= 0),
    granted_at bigint NOT NULL,
    expires_at bigint,
    models     text   NOT NULL DEFAULT '[]', -- a JSON array
    seq        bigint NOT NULL CHECK (seq > 0), -- of its last transfer; they count from 1
    -- An index on the amounts themselves would make every new balance a new entry in it.
    live       boolean NOT NULL GENERATED ALWAYS AS (available + held > 0) STORED,
    PRIMARY KEY (env_id, pack_id),
    CHECK (granted = available + held + spent + expired)
) WITH (fillfactor = 50);

-- Keeps the hot path from reading the packs that were used up long ago.
CREATE INDEX packs_live ON packs (env_id) WHERE live;

CREATE INDEX packs_expiring ON packs (expires_at) WHERE live AND expires_at IS NOT NULL;

-- What moved credits, except the hold and its end in the first pack of an exchange: of those the
-- exchange's own row is the record. See the view `journal`. A transfer is numbered within its pack.
CREATE TABLE transfers (
    env_id     text   NOT NULL,
    request_id text   NOT NULL,
    kind       text   NOT NULL CHECK (kind IN (
        'hold', 'post', 'void', 'spend', 'overrun', 'grant', 'expire', 'add', 'take_back')),
    leg        bigint NOT NULL CHECK (leg >= 0 AND (leg > 0 OR kind NOT IN ('hold', 'post', 'void'))),
    pack_id    text CHECK ((pack_id IS NULL) = (kind = 'overrun')),
    seq        bigint NOT NULL CHECK ((seq = 0 AND kind = 'overrun') OR (seq > 0 AND kind <> 'overrun')),
    amount     bigint NOT NULL CHECK (amount > 0),
    released   bigint NOT NULL CHECK (released >= 0 AND (released = 0 OR kind = 'post')),
    at         bigint NOT NULL,
    PRIMARY KEY (env_id, request_id, kind, leg)
);

-- A leg of a hold ends once.
CREATE UNIQUE INDEX leg_ends_once ON transfers (env_id, request_id, leg)
 WHERE kind = 'post' OR kind = 'void';

-- Exchanges under way, a row per leg. An exchange of a free model has one leg without a pack. What
-- a worker's death leaves behind is in leg 0: the last checkpoint.
CREATE TABLE holds (
    env_id      text   NOT NULL,
    request_id  text   NOT NULL,
    leg         bigint NOT NULL CHECK (leg >= 0),
    pack_id     text,
    amount      bigint NOT NULL CHECK (amount >= 0 AND (pack_id IS NULL) = (amount = 0)),
    seq         bigint NOT NULL CHECK ((seq = 0) = (amount = 0)), -- of the transfer
    key_id      text   NOT NULL,
    model       text   NOT NULL,
    worker_id   text   NOT NULL,
    started_at  bigint NOT NULL,
    client_protocol text   NOT NULL,
    stream          bigint NOT NULL CHECK (stream IN (0, 1)),
    price_version   text   NOT NULL,
    -- what else has to be put right when it ends: tokens in the minute of `started_at`, the budget
    window_tokens bigint NOT NULL CHECK (window_tokens >= 0),
    budgeted      bigint NOT NULL CHECK (budgeted IN (0, 1)),
    upstream       text   NOT NULL DEFAULT '',
    upstream_model text   NOT NULL DEFAULT '',
    input       bigint NOT NULL DEFAULT 0,
    cache_read  bigint NOT NULL DEFAULT 0,
    cache_write bigint NOT NULL DEFAULT 0,
    output      bigint NOT NULL DEFAULT 0,
    reasoning   bigint NOT NULL DEFAULT 0,
    charge      bigint NOT NULL DEFAULT 0 CHECK (charge >= 0),
    PRIMARY KEY (env_id, request_id, leg)
) WITH (fillfactor = 80);

CREATE INDEX holds_of_worker ON holds (worker_id);

-- One row for each exchange that ended. It is also the journal's record of the hold in the first
-- pack and of its end: what was posted of it and what was released, and the numbers of
-- the two transfers.
CREATE TABLE usage_records (
    env_id          text   NOT NULL,
    request_id      text   NOT NULL,
    ended_at        bigint NOT NULL,
    key_id          text   NOT NULL,
    model           text   NOT NULL,
    upstream        text   NOT NULL,
    upstream_model  text   NOT NULL,
    client_protocol text   NOT NULL,
    stream          bigint NOT NULL CHECK (stream IN (0, 1)),
    started_at      bigint NOT NULL,
    input           bigint NOT NULL CHECK (input >= 0),
    cache_read      bigint NOT NULL CHECK (cache_read >= 0),
    cache_write     bigint NOT NULL CHECK (cache_write >= 0),
    output          bigint NOT NULL CHECK (output >= 0),
    reasoning       bigint NOT NULL CHECK (reasoning >= 0),
    amount          bigint NOT NULL CHECK (amount >= 0),
    overrun         bigint NOT NULL CHECK (overrun BETWEEN 0 AND amount),
    provenance      text   NOT NULL,
    outcome         text   NOT NULL,
    price_version   text   NOT NULL,
    raw_usage       text   NOT NULL, -- as the upstream reported it, or ''
    pack_id         text,
    posted          bigint NOT NULL CHECK (posted >= 0),
    released        bigint NOT NULL CHECK (released >= 0 AND (pack_id IS NULL) = (posted + released = 0)),
    held_at         bigint NOT NULL,
    held_seq        bigint NOT NULL CHECK ((held_seq = 0) = (pack_id IS NULL)),
    ended_seq       bigint NOT NULL CHECK (ended_seq > held_seq OR pack_id IS NULL),
    CHECK (posted + overrun <= amount),
    PRIMARY KEY (env_id, request_id)
);

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

-- Processes that serve exchanges. One whose lease ran out is dead, and its holds are recovered.
CREATE TABLE workers (
    worker_id   text   NOT NULL PRIMARY KEY,
    lease_until bigint NOT NULL
) WITH (fillfactor = 50);

-- Every price book that was ever charged by, as JSON; the version is a hash of its content.
CREATE TABLE price_versions (
    version text   NOT NULL PRIMARY KEY,
    book    text   NOT NULL,
    since   bigint NOT NULL
);

-- Why a pack was corrected; the transfer is in the journal. A negative amount was taken back.
CREATE TABLE corrections (
    env_id        text   NOT NULL,
    correction_id text   NOT NULL,
    pack_id       text   NOT NULL,
    amount        bigint NOT NULL CHECK (amount <> 0),
    reason        text   NOT NULL CHECK (reason <> ''),
    at            bigint NOT NULL,
    PRIMARY KEY (env_id, correction_id),
    FOREIGN KEY (env_id, pack_id) REFERENCES packs
);

-- A row for each level that the spent part of a pack has reached; written with the settlement that
-- did it. Whoever takes one to deliver moves `next_try` into the future.
CREATE TABLE alerts (
    env_id   text   NOT NULL,
    pack_id  text   NOT NULL,
    level    bigint NOT NULL CHECK (level > 0),
    at       bigint NOT NULL,
    granted  bigint NOT NULL,
    spent    bigint NOT NULL,
    tries    bigint NOT NULL DEFAULT 0,
    next_try bigint, -- NULL: delivered or given up
    PRIMARY KEY (env_id, pack_id, level)
);

CREATE INDEX alerts_waiting ON alerts (next_try) WHERE next_try IS NOT NULL;

-- What is written once stays. An engine that has no triggers keeps this by `REVOKE` alone; the
-- auditor would see it anyway.
DO $guard$
DECLARE guarded text;
BEGIN
    CREATE FUNCTION tollbridge_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $body$ BEGIN RAISE check_violation USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $body$;
    FOREACH guarded IN ARRAY ARRAY['transfers', 'usage_records', 'price_versions', 'corrections'] LOOP
        EXECUTE format('CREATE TRIGGER %s_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION tollbridge_append_only()',
                       guarded, guarded);
    END LOOP;
EXCEPTION WHEN feature_not_supported THEN
    RAISE WARNING 'this engine has no triggers: the journal is append-only by its rights alone';
END $guard$;

REVOKE UPDATE, DELETE, TRUNCATE ON transfers, usage_records, price_versions, corrections
    FROM PUBLIC, CURRENT_USER;
