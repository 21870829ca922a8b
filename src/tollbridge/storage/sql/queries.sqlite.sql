-- Every statement that the store can run on SQLite. `-- name:` begins one; the comment lines below
-- it say what for. Parameters are numbered.

-- name: admission_check
-- The environment's generation, and whether the request id was admitted before.
SELECT generation,
       EXISTS (SELECT 1 FROM holds WHERE env_id = ?1 AND request_id = ?2)
       OR EXISTS (SELECT 1 FROM usage_records WHERE env_id = ?1 AND request_id = ?2)
  FROM environments WHERE env_id = ?1;

-- name: live_packs
-- The packs of an environment that can take part in a hold or settlement.
SELECT env_id, pack_id, granted, available, held, spent, expired, granted_at, expires_at, models
  FROM packs INDEXED BY packs_live WHERE env_id = ?1 AND available + held > 0;

-- name: update_pack
-- Write a pack's new balances.
UPDATE packs SET available = ?1, held = ?2, spent = ?3, expired = ?4
 WHERE env_id = ?5 AND pack_id = ?6;

-- name: insert_journal
-- Append a transfer.
INSERT INTO journal (env_id, request_id, kind, leg, pack_id, amount, released, at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- name: insert_hold
-- A leg of an exchange that begins.
INSERT INTO holds (env_id, request_id, leg, pack_id, amount, key_id, model, worker_id, started_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- name: hold_legs
-- The legs of an open hold, in order.
SELECT pack_id, amount FROM holds WHERE env_id = ?1 AND request_id = ?2 ORDER BY leg;

-- name: delete_hold
-- The exchange has ended.
DELETE FROM holds WHERE env_id = ?1 AND request_id = ?2;

-- name: insert_usage
-- The record of an exchange that ended.
INSERT INTO usage_records (
    request_id, env_id, key_id, model, upstream, client_protocol, stream, started_at, ended_at,
    input, cache_read, cache_write, output, reasoning,
    amount, provenance, outcome, price_version, overrun)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19);

-- name: find_usage
-- The record of one exchange, to compare a repeated settlement with.
SELECT request_id, env_id, key_id, model, upstream, client_protocol, stream, started_at, ended_at,
       input, cache_read, cache_write, output, reasoning,
       amount, provenance, outcome, price_version, overrun
  FROM usage_records WHERE env_id = ?1 AND request_id = ?2;

-- name: checkpoint_hold
-- How far an exchange is.
UPDATE holds
   SET input = ?1, cache_read = ?2, cache_write = ?3, output = ?4, reasoning = ?5, charge = ?6
 WHERE env_id = ?7 AND request_id = ?8 AND leg = 0;

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
SELECT key_id, model, started_at, input, cache_read, cache_write, output, reasoning, charge
  FROM holds
 WHERE env_id = ?1 AND request_id = ?2 AND leg = 0
   AND NOT EXISTS (SELECT 1 FROM workers
                    WHERE workers.worker_id = holds.worker_id AND lease_until > ?3);

-- name: overdue_packs
-- Packs whose validity ended and that still have credits available.
SELECT env_id, pack_id FROM packs
 WHERE available + held > 0 AND available > 0 AND expires_at <= ?1;

-- name: find_key
-- A key, its environment's generation, and a row for each model that is switched on.
SELECT key_id, keys.env_id, keys.name, expires_at, revoked_at, generation, model
  FROM keys JOIN environments ON environments.env_id = keys.env_id
  LEFT JOIN switches ON switches.env_id = keys.env_id
 WHERE key_hash = ?1;

-- name: generation
-- The environment's generation.
SELECT generation FROM environments WHERE env_id = ?1;

-- name: raise_generation
-- Makes every worker read keys and switches again.
UPDATE environments SET generation = generation + 1 WHERE env_id = ?1;

-- name: insert_environment
-- Nothing happens if it exists.
INSERT INTO environments (env_id, name, created_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING;

-- name: environments
-- All of them.
SELECT env_id, name, created_at, generation FROM environments ORDER BY env_id;

-- name: insert_key
-- A new key.
INSERT INTO keys (key_hash, key_id, env_id, name, hint, created_at, expires_at, revoked_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- name: keys
-- The keys of one environment, or of all if none is given.
SELECT key_id, env_id, name, hint, created_at, expires_at, revoked_at
  FROM keys WHERE ?1 IS NULL OR env_id = ?1 ORDER BY created_at, key_id;

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

-- name: insert_pack
-- A new pack, all of it available.
INSERT INTO packs (env_id, pack_id, granted, available, held, spent, expired,
                   granted_at, expires_at, models)
VALUES (?1, ?2, ?3, ?3, 0, 0, 0, ?4, ?5, ?6);

-- name: find_pack
-- One pack.
SELECT env_id, pack_id, granted, available, held, spent, expired, granted_at, expires_at, models
  FROM packs WHERE env_id = ?1 AND pack_id = ?2;

-- name: packs
-- The packs of one environment, or of all if none is given, in the order in which they are drawn.
SELECT env_id, pack_id, granted, available, held, spent, expired, granted_at, expires_at, models
  FROM packs WHERE ?1 IS NULL OR env_id = ?1
 ORDER BY env_id, expires_at IS NULL, expires_at, granted_at, pack_id;

-- name: usage
-- Usage added up by environment, day (UTC) and model, of one environment or of all.
SELECT env_id, date(ended_at / 1000, 'unixepoch') AS day, model, count(*),
       sum(input), sum(cache_read), sum(cache_write), sum(output), sum(amount)
  FROM usage_records
 WHERE (?1 IS NULL OR env_id = ?1) AND ended_at >= ?2 AND ended_at < ?3
 GROUP BY env_id, day, model ORDER BY env_id, day, model;

-- name: audit_journal
-- Every transfer in the order in which it happened.
SELECT seq, env_id, request_id, kind, leg, pack_id, amount, released FROM journal ORDER BY seq;

-- name: audit_journal_by_request
-- Every transfer again, those of one request together.
SELECT seq, env_id, request_id, kind, leg, pack_id, amount, released
  FROM journal ORDER BY env_id, request_id;

-- name: audit_holds
-- Every open leg.
SELECT env_id, request_id, leg, pack_id, amount FROM holds ORDER BY env_id, request_id, leg;

-- name: audit_usage
-- What every exchange that ended was charged.
SELECT env_id, request_id, amount, overrun FROM usage_records ORDER BY env_id, request_id;
