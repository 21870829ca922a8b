-- Every statement that the store can run on SQLite. `-- name:` begins one; the comment lines below
-- it say what for. Parameters are numbered.

-- name: admitted
-- A row if the request id was admitted before.
SELECT 1 FROM holds WHERE env_id = ?1 AND request_id = ?2 AND leg = 0
UNION ALL
SELECT 1 FROM usage_records WHERE env_id = ?1 AND request_id = ?2;

-- name: live_packs
-- The packs of an environment that can take part in a hold or settlement.
SELECT env_id, pack_id, granted, available, held, spent, expired, granted_at, expires_at, models,
       seq
  FROM packs INDEXED BY packs_live WHERE env_id = ?1 AND available + held > 0;

-- name: update_pack
-- Write a pack's new balances.
UPDATE packs SET available = ?1, held = ?2, spent = ?3, expired = ?4, seq = ?5
 WHERE env_id = ?6 AND pack_id = ?7;

-- name: insert_transfer
-- Of the journal, what is not part of an exchange's own row.
INSERT INTO transfers (env_id, request_id, kind, leg, pack_id, seq, amount, released, at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- name: insert_hold
-- A leg of an exchange that begins.
INSERT INTO holds (env_id, request_id, leg, pack_id, amount, seq, key_id, model, worker_id,
                   started_at, client_protocol, stream, price_version, window_tokens, budgeted)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15);

-- name: hold_legs
-- The legs of an open hold, in order.
SELECT pack_id, amount, key_id, started_at, window_tokens, budgeted, seq
  FROM holds WHERE env_id = ?1 AND request_id = ?2 ORDER BY leg;

-- name: delete_hold
-- The exchange has ended.
DELETE FROM holds WHERE env_id = ?1 AND request_id = ?2;

-- name: insert_usage
-- The record of an exchange that ended.
INSERT INTO usage_records (
    request_id, env_id, key_id, model, upstream, upstream_model, client_protocol, stream,
    started_at, ended_at, input, cache_read, cache_write, output, reasoning,
    amount, provenance, outcome, price_version, raw_usage, overrun,
    pack_id, posted, released, held_at, held_seq, ended_seq)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
        ?21, ?22, ?23, ?24, ?25, ?26, ?27);

-- name: find_usage
-- The record of one exchange, for a receipt or to compare a repeated settlement with.
SELECT request_id, env_id, key_id, model, upstream, upstream_model, client_protocol, stream,
       started_at, ended_at, input, cache_read, cache_write, output, reasoning,
       amount, provenance, outcome, price_version, raw_usage, overrun
  FROM usage_records WHERE env_id = ?1 AND request_id = ?2;

-- name: checkpoint_hold
-- How far an exchange is.
UPDATE holds
   SET input = ?1, cache_read = ?2, cache_write = ?3, output = ?4, reasoning = ?5, charge = ?6,
       upstream = ?7, upstream_model = ?8
 WHERE env_id = ?9 AND request_id = ?10 AND leg = 0;

-- name: open_exchanges
-- How many exchanges an environment (key_id is '') or one of its keys has under way.
SELECT count(*) FROM holds WHERE env_id = ?1 AND leg = 0 AND (?2 = '' OR key_id = ?2);

-- name: window
-- The last minute that was counted, of an environment or a key.
SELECT minute, requests, tokens FROM windows WHERE env_id = ?1 AND key_id = ?2;

-- name: write_window
-- What a minute has admitted.
INSERT INTO windows (env_id, key_id, minute, requests, tokens) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (env_id, key_id) DO UPDATE
   SET minute = excluded.minute, requests = excluded.requests, tokens = excluded.tokens;

-- name: budget
-- What a key may be charged, was charged, and holds.
SELECT budget, charged, held FROM budgets WHERE env_id = ?1 AND key_id = ?2;

-- name: update_budget
-- What a key was charged, and holds.
UPDATE budgets SET charged = ?1, held = ?2 WHERE env_id = ?3 AND key_id = ?4;

-- name: insert_alert
-- A level was reached; it is told once.
INSERT INTO alerts (env_id, pack_id, level, at, granted, spent, next_try)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?4) ON CONFLICT DO NOTHING;

-- name: renew_lease
-- The worker is alive.
INSERT INTO workers (worker_id, lease_until) VALUES (?1, ?2)
    ON CONFLICT (worker_id) DO UPDATE SET lease_until = excluded.lease_until;

-- name: delete_worker
-- The worker has stopped.
DELETE FROM workers WHERE worker_id = ?1;

-- name: dead_workers
-- Workers whose lease ran out.
SELECT worker_id FROM workers WHERE lease_until <= ?1;

-- name: delete_dead_workers
-- Workers whose lease ran out and whose holds are all recovered.
DELETE FROM workers
 WHERE lease_until <= ?1
   AND NOT EXISTS (SELECT 1 FROM holds WHERE holds.worker_id = workers.worker_id);

-- name: dead_holds
-- Exchanges whose worker has no lease any more.
SELECT env_id, request_id FROM holds
 WHERE leg = 0
   AND NOT EXISTS (SELECT 1 FROM workers
                    WHERE workers.worker_id = holds.worker_id AND lease_until > ?1);

-- name: dead_hold
-- One of them with its last checkpoint, if no other sweeper was faster.
SELECT key_id, model, upstream, upstream_model, client_protocol, stream, price_version,
       started_at, input, cache_read, cache_write, output, reasoning, charge
  FROM holds
 WHERE env_id = ?1 AND request_id = ?2 AND leg = 0
   AND NOT EXISTS (SELECT 1 FROM workers
                    WHERE workers.worker_id = holds.worker_id AND lease_until > ?3);

-- name: overdue_packs
-- Packs whose validity ended and that still have credits available.
SELECT env_id, pack_id FROM packs
 WHERE available + held > 0 AND available > 0 AND expires_at <= ?1;

-- name: find_key
-- A key with its environment and their limits, and a row for each model that is switched on.
SELECT keys.key_id, keys.env_id, keys.name, expires_at, revoked_at, generation,
       keys.concurrency, keys.requests_per_minute, keys.tokens_per_minute,
       environments.concurrency, environments.requests_per_minute, environments.tokens_per_minute,
       strict, budgets.key_id IS NOT NULL, model
  FROM keys JOIN environments ON environments.env_id = keys.env_id
  LEFT JOIN budgets ON budgets.env_id = keys.env_id AND budgets.key_id = keys.key_id
  LEFT JOIN switches ON switches.env_id = keys.env_id
 WHERE key_hash = ?1;

-- name: generation
-- The environment's generation.
SELECT generation FROM environments WHERE env_id = ?1;

-- name: raise_generation
-- Makes every worker read keys and switches again.
UPDATE environments SET generation = generation + 1 WHERE env_id = ?1;

-- name: insert_environment
-- No row comes back if it exists.
INSERT INTO environments (
    env_id, name, created_at, concurrency, requests_per_minute, tokens_per_minute)
VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING RETURNING env_id;

-- name: limit_environment
-- They hold from the generation that is raised with them.
UPDATE environments SET concurrency = ?2, requests_per_minute = ?3, tokens_per_minute = ?4
 WHERE env_id = ?1;

-- name: environments
-- All of them.
SELECT env_id, name, created_at, generation, concurrency, requests_per_minute, tokens_per_minute
  FROM environments ORDER BY env_id;

-- name: insert_key
-- A new key.
INSERT INTO keys (key_hash, key_id, env_id, name, hint, created_at, expires_at, revoked_at,
                  concurrency, requests_per_minute, tokens_per_minute, strict)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12);

-- name: limit_key
-- They hold from the generation that is raised with them.
UPDATE keys SET concurrency = ?2, requests_per_minute = ?3, tokens_per_minute = ?4,
                strict = coalesce(?5, strict)
 WHERE key_id = ?1;

-- name: set_budget
-- A first budget begins with what the key was charged and what it holds.
INSERT INTO budgets (env_id, key_id, budget, charged, held)
VALUES (?1, ?2, ?3,
        (SELECT coalesce(sum(amount), 0) FROM usage_records WHERE env_id = ?1 AND key_id = ?2),
        (SELECT coalesce(sum(amount), 0) FROM holds WHERE env_id = ?1 AND key_id = ?2))
    ON CONFLICT (env_id, key_id) DO UPDATE SET budget = excluded.budget;

-- name: delete_budget
-- The key may spend without a limit of its own.
DELETE FROM budgets WHERE env_id = ?1 AND key_id = ?2;

-- name: mark_holds
-- Whether the exchanges under way of a key are part of its budget.
UPDATE holds SET budgeted = ?3 WHERE env_id = ?1 AND key_id = ?2;

-- name: keys
-- The keys of one environment, or of all if none is given.
SELECT keys.key_id, keys.env_id, name, hint, created_at, expires_at, revoked_at,
       concurrency, requests_per_minute, tokens_per_minute, strict, coalesce(budget, 0)
  FROM keys LEFT JOIN budgets ON budgets.env_id = keys.env_id AND budgets.key_id = keys.key_id
 WHERE ?1 IS NULL OR keys.env_id = ?1 ORDER BY created_at, keys.key_id;

-- name: key_environment
-- Where a key belongs.
SELECT env_id FROM keys WHERE key_id = ?1;

-- name: revoke_key
-- The first revocation counts.
UPDATE keys SET revoked_at = coalesce(revoked_at, ?2) WHERE key_id = ?1;

-- name: switch_on
-- Nothing happens if it is on.
INSERT INTO switches (env_id, model) VALUES (?1, ?2) ON CONFLICT DO NOTHING;

-- name: switch_off
-- Nothing happens if it is off.
DELETE FROM switches WHERE env_id = ?1 AND model = ?2;

-- name: models_on
-- The models that are switched on.
SELECT model FROM switches WHERE env_id = ?1;

-- name: find_group
-- The generation, and a group with a row for each of its models, if there is one.
SELECT generation, groups.env_id, groups.name, base_url, protocol, dialect, output_limit, secret,
       hint, groups.created_at, model
  FROM environments
  LEFT JOIN groups ON groups.env_id = environments.env_id AND groups.name = ?2
  LEFT JOIN group_models
    ON group_models.env_id = groups.env_id AND group_models.group_name = groups.name
 WHERE environments.env_id = ?1 ORDER BY model;

-- name: has_group
-- A row if there is one.
SELECT 1 FROM groups WHERE env_id = ?1 AND name = ?2;

-- name: put_group
-- A new one, or another one in the place of the one of that name.
INSERT INTO groups (env_id, name, base_url, protocol, dialect, output_limit, secret, hint,
                    created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (env_id, name) DO UPDATE
   SET base_url = excluded.base_url, protocol = excluded.protocol, dialect = excluded.dialect,
       output_limit = excluded.output_limit, secret = excluded.secret, hint = excluded.hint;

-- name: delete_group
-- Its models are deleted first.
DELETE FROM groups WHERE env_id = ?1 AND name = ?2;

-- name: insert_group_model
-- One of the models that it serves.
INSERT INTO group_models (env_id, group_name, model) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING;

-- name: delete_group_models
-- All of one group.
DELETE FROM group_models WHERE env_id = ?1 AND group_name = ?2;

-- name: groups
-- The groups of one environment, or of all if none is given, with a row for each model.
SELECT groups.env_id, groups.name, base_url, protocol, dialect, output_limit, secret, hint,
       created_at, model
  FROM groups LEFT JOIN group_models
    ON group_models.env_id = groups.env_id AND group_models.group_name = groups.name
 WHERE ?1 IS NULL OR groups.env_id = ?1 ORDER BY groups.env_id, groups.name, model;

-- name: insert_pack
-- A new pack, all of it available.
INSERT INTO packs (env_id, pack_id, granted, available, held, spent, expired,
                   granted_at, expires_at, models, seq)
VALUES (?1, ?2, ?3, ?3, 0, 0, 0, ?4, ?5, ?6, 1);

-- name: find_pack
-- One pack.
SELECT env_id, pack_id, granted, available, held, spent, expired, granted_at, expires_at, models,
       seq
  FROM packs WHERE env_id = ?1 AND pack_id = ?2;

-- name: granted_first
-- What a pack was granted with, before any correction.
SELECT amount FROM transfers
 WHERE env_id = ?1 AND request_id = ?2 AND kind = 'grant' AND leg = 0;

-- name: find_correction
-- To compare a repeated correction with.
SELECT pack_id, amount, reason FROM corrections WHERE env_id = ?1 AND correction_id = ?2;

-- name: insert_correction
-- Its transfer is written with it.
INSERT INTO corrections (env_id, correction_id, pack_id, amount, reason, at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- name: correct_pack
-- Write what a correction changes.
UPDATE packs SET granted = ?1, available = ?2, seq = ?3 WHERE env_id = ?4 AND pack_id = ?5;

-- name: transfers
-- Every transfer of a pack, in the order in which they happened.
SELECT journal.at, kind, request_id, journal.amount, released, coalesce(reason, '')
  FROM journal LEFT JOIN corrections
    ON corrections.env_id = journal.env_id AND correction_id = request_id
   AND (kind = 'add' OR kind = 'take_back')
 WHERE journal.env_id = ?1 AND journal.pack_id = ?2 ORDER BY seq;

-- name: packs_drawn
-- What each pack bore of an exchange.
SELECT pack_id, sum(amount) FROM journal
 WHERE env_id = ?1 AND request_id = ?2 AND (kind = 'post' OR kind = 'spend')
 GROUP BY pack_id ORDER BY min(CASE kind WHEN 'post' THEN leg ELSE 1000 + leg END);

-- name: keep_price
-- Nothing happens if this version is known.
INSERT INTO price_versions (version, book, since) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING;

-- name: find_price
-- The price book of a version.
SELECT book FROM price_versions WHERE version = ?1;

-- name: alerts_due
-- Alerts that nobody is delivering.
SELECT env_id, pack_id, level, at, granted, spent, tries + 1 FROM alerts
 WHERE next_try <= ?1 ORDER BY next_try LIMIT 16;

-- name: try_alert
-- One of them is being delivered; NULL after the last try.
UPDATE alerts SET tries = ?1, next_try = ?2 WHERE env_id = ?3 AND pack_id = ?4 AND level = ?5;

-- name: packs
-- The packs of one environment, or of all if none is given, in the order in which they are drawn.
SELECT env_id, pack_id, granted, available, held, spent, expired, granted_at, expires_at, models,
       seq
  FROM packs WHERE ?1 IS NULL OR env_id = ?1
 ORDER BY env_id, expires_at IS NULL, expires_at, granted_at, pack_id;

-- name: usage
-- Usage added up by environment, day (UTC) and model, of one environment or of all.
SELECT env_id, date(ended_at / 1000, 'unixepoch') AS day, model, count(*),
       sum(input), sum(cache_read), sum(cache_write), sum(output), sum(amount)
  FROM usage_records
 WHERE (?1 IS NULL OR env_id = ?1) AND ended_at >= ?2 AND ended_at < ?3
 GROUP BY env_id, day, model ORDER BY env_id, day, model;

-- name: upstream_usage
-- Usage added up by day (UTC), upstream, its model's name and provenance; of the operator's
-- upstreams, for nobody else is billed to the operator.
SELECT date(ended_at / 1000, 'unixepoch') AS day, upstream, upstream_model, provenance, count(*),
       sum(input), sum(cache_read), sum(cache_write), sum(output)
  FROM usage_records
 WHERE ended_at >= ?1 AND ended_at < ?2 AND upstream NOT LIKE 'own:%'
 GROUP BY day, upstream, upstream_model, provenance
 ORDER BY day, upstream, upstream_model, provenance;

-- name: audit_journal
-- Every transfer, those of a pack together and in the order in which they happened.
SELECT seq, env_id, request_id, kind, leg, pack_id, amount, released
  FROM journal ORDER BY env_id, pack_id, seq;

-- name: audit_journal_by_request
-- Every transfer again, those of one request together.
SELECT seq, env_id, request_id, kind, leg, pack_id, amount, released
  FROM journal ORDER BY env_id, request_id;

-- name: audit_holds
-- Every open leg.
SELECT env_id, request_id, leg, pack_id, amount, key_id FROM holds
 ORDER BY env_id, request_id, leg;

-- name: audit_usage
-- What every exchange that ended was charged.
SELECT env_id, request_id, amount, overrun, key_id FROM usage_records
 ORDER BY env_id, request_id;

-- name: audit_budgets
-- Every budget.
SELECT env_id, key_id, charged, held FROM budgets;
