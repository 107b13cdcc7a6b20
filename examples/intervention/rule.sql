-- Who acts on results: once for each order and event version, and never for a version below one acted on. A result
-- that comes again, or from a second model, is recorded and nothing else.
--
-- Four statements, which the programs take one by one: two make the tables, the third records a result and the fourth
-- acts on it. ?1 to ?6 are a result's order_id, event_version, prediction_id, model_version, risk_band and risk_score.
-- Both run in one transaction; only after it may the offset be committed. PostgreSQL needs $1 for ?1 and nothing else.
CREATE TABLE IF NOT EXISTS results (
  order_id TEXT, event_version BIGINT, prediction_id TEXT, model_version TEXT, risk_band TEXT, risk_score DOUBLE PRECISION,
  PRIMARY KEY (order_id, event_version, prediction_id)
);
CREATE TABLE IF NOT EXISTS interventions (
  order_id TEXT, event_version BIGINT, prediction_id TEXT, model_version TEXT, risk_band TEXT, action TEXT,
  PRIMARY KEY (order_id, event_version)
);
INSERT INTO results VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING;
INSERT INTO interventions
SELECT ?1, ?2, ?3, ?4, ?5, CASE ?5 WHEN 'HIGH' THEN 'ask' WHEN 'MEDIUM' THEN 'remind' ELSE 'none' END
WHERE NOT EXISTS (SELECT 1 FROM interventions WHERE order_id = ?1 AND event_version >= ?2);
