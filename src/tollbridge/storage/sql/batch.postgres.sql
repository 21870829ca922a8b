-- What a batch does on PostgreSQL, in bulk: arrays in, one row or statement part for each.

-- name: load
-- All that the commands of a batch are expected to read, as the rows of the statements of the same
-- names as JSON arrays. $1: environments; $2, $3: requests that end; $4, $5: keys; $6, $7: requests
-- that begin; $8: environments whose exchanges are counted, by key.
SELECT 'environment' AS name, env_id, '' AS id, json_build_array(generation, seq) AS found
  FROM environments WHERE env_id = ANY($1::text[])
UNION ALL
SELECT 'live_packs', env_id, '', json_build_array(
       env_id, pack_id, granted, available, held, spent, expired, granted_at, expires_at, models,
       seq)
  FROM packs WHERE env_id = ANY($1::text[]) AND live
UNION ALL
SELECT 'hold_legs', h.env_id, h.request_id, json_build_array(
       pack_id, amount, key_id, started_at, window_tokens, budgeted, seq, leg)
  FROM unnest($2::text[], $3::text[]) AS r (env_id, request_id)
  JOIN holds AS h ON h.env_id = r.env_id AND h.request_id = r.request_id
UNION ALL
SELECT 'window', w.env_id, w.key_id, json_build_array(minute, requests, tokens)
  FROM unnest($4::text[], $5::text[]) AS k (env_id, key_id)
  JOIN windows AS w ON w.env_id = k.env_id AND w.key_id = k.key_id
UNION ALL
SELECT 'budget', b.env_id, b.key_id, json_build_array(budget, charged, held)
  FROM unnest($4::text[], $5::text[]) AS k (env_id, key_id)
  JOIN budgets AS b ON b.env_id = k.env_id AND b.key_id = k.key_id
UNION ALL
SELECT 'admitted', r.env_id, r.request_id, json_build_array()
  FROM unnest($6::text[], $7::text[]) AS r (env_id, request_id)
  JOIN holds AS h ON h.env_id = r.env_id AND h.request_id = r.request_id AND h.leg = 0
UNION ALL
SELECT 'admitted', r.env_id, r.request_id, json_build_array()
  FROM unnest($6::text[], $7::text[]) AS r (env_id, request_id)
  JOIN usage_records AS u ON u.env_id = r.env_id AND u.request_id = r.request_id
UNION ALL
SELECT 'open_exchanges', env_id, key_id, json_build_array(count(*))
  FROM holds WHERE env_id = ANY($8::text[]) AND leg = 0 GROUP BY env_id, key_id;

-- name: won
-- The environments in which nothing has changed since they were loaded, counted up and locked.
UPDATE environments AS e SET seq = e.seq + 1
  FROM unnest($1::text[], $2::bigint[]) AS n (env_id, seq)
 WHERE e.env_id = n.env_id AND e.seq = n.seq
RETURNING e.env_id;

-- name: update_pack
-- New balances.
UPDATE packs AS p
   SET available = n.available, held = n.held, spent = n.spent, expired = n.expired, seq = n.seq
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
              $7::text[])
       AS n (available, held, spent, expired, seq, env_id, pack_id) JOIN won USING (env_id)
 WHERE p.env_id = n.env_id AND p.pack_id = n.pack_id;

-- name: insert_transfer
-- Transfers that are not part of an exchange's own row.
INSERT INTO transfers (env_id, request_id, kind, leg, pack_id, seq, amount, released, at)
SELECT n.*
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[],
              $7::bigint[], $8::bigint[], $9::bigint[])
       AS n (env_id, request_id, kind, leg, pack_id, seq, amount, released, at)
  JOIN won USING (env_id);

-- name: insert_hold
-- Legs of exchanges that begin.
INSERT INTO holds (env_id, request_id, leg, pack_id, amount, seq, key_id, model, worker_id,
                   started_at, client_protocol, stream, price_version, window_tokens, budgeted)
SELECT n.*
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[],
              $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::bigint[],
              $13::text[], $14::bigint[], $15::bigint[])
       AS n (env_id, request_id, leg, pack_id, amount, seq, key_id, model, worker_id, started_at,
             client_protocol, stream, price_version, window_tokens, budgeted)
  JOIN won USING (env_id);

-- name: delete_hold
-- Exchanges that have ended.
DELETE FROM holds AS h
 USING unnest($1::text[], $2::text[]) AS n (env_id, request_id) JOIN won USING (env_id)
 WHERE h.env_id = n.env_id AND h.request_id = n.request_id;

-- name: insert_usage
-- Their records.
INSERT INTO usage_records (
    request_id, env_id, key_id, model, upstream, upstream_model, client_protocol, stream,
    started_at, ended_at, input, cache_read, cache_write, output, reasoning,
    amount, provenance, outcome, price_version, raw_usage, overrun,
    pack_id, posted, released, held_at, held_seq, ended_seq)
SELECT n.*
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
              $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
              $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::text[],
              $18::text[], $19::text[], $20::text[], $21::bigint[], $22::text[], $23::bigint[],
              $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[])
       AS n (request_id, env_id, key_id, model, upstream, upstream_model, client_protocol, stream,
             started_at, ended_at, input, cache_read, cache_write, output, reasoning,
             amount, provenance, outcome, price_version, raw_usage, overrun,
             pack_id, posted, released, held_at, held_seq, ended_seq)
  JOIN won USING (env_id);

-- name: insert_alert
-- Levels that were reached; each is told once.
INSERT INTO alerts (env_id, pack_id, level, at, granted, spent, next_try)
SELECT n.env_id, pack_id, level, at, granted, spent, at
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
       AS n (env_id, pack_id, level, at, granted, spent) JOIN won USING (env_id)
    ON CONFLICT DO NOTHING;

-- name: write_window
-- What minutes have admitted.
INSERT INTO windows (env_id, key_id, minute, requests, tokens)
SELECT n.*
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
       AS n (env_id, key_id, minute, requests, tokens) JOIN won USING (env_id)
    ON CONFLICT (env_id, key_id) DO UPDATE
   SET minute = excluded.minute, requests = excluded.requests, tokens = excluded.tokens;

-- name: update_budget
-- What keys were charged, and hold.
UPDATE budgets AS b SET charged = n.charged, held = n.held
  FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])
       AS n (charged, held, env_id, key_id) JOIN won USING (env_id)
 WHERE b.env_id = n.env_id AND b.key_id = n.key_id;

-- name: checkpoint_hold
-- How far exchanges are. This changes no balance, so it needs no lock.
UPDATE holds AS h
   SET input = n.input, cache_read = n.cache_read, cache_write = n.cache_write, output = n.output,
       reasoning = n.reasoning, charge = n.charge, upstream = n.upstream,
       upstream_model = n.upstream_model
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
              $7::text[], $8::text[], $9::text[], $10::text[])
       AS n (input, cache_read, cache_write, output, reasoning, charge, upstream, upstream_model,
             env_id, request_id)
 WHERE h.env_id = n.env_id AND h.request_id = n.request_id AND h.leg = 0;

-- name: renew_lease
-- Workers that are alive.
INSERT INTO workers (worker_id, lease_until)
SELECT * FROM unnest($1::text[], $2::bigint[])
    ON CONFLICT (worker_id) DO UPDATE SET lease_until = excluded.lease_until;
