-- What each decision time knew of a ratio: the newest day stated by then, in its newest revision. Facts and decisions are
-- sorted together by time, facts first.
WITH facts AS (
  SELECT asset, event_time, known_at, value,
         row_number() OVER (PARTITION BY asset ORDER BY event_time, known_at, venue, revision) AS place
  FROM onchain.metrics
  WHERE metric = 'mvrv'
), steps AS (
  SELECT asset, known_at AS t, 0 AS side, place FROM facts
  UNION ALL
  SELECT asset, as_of AS t, 1 AS side, CAST(NULL AS BIGINT) AS place FROM features.matrix
), latest AS (
  SELECT asset, t, side,
         max(place) OVER (PARTITION BY asset ORDER BY t, side ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS place
  FROM steps
)
SELECT m.asset, m.as_of, m.iv_30d, f.event_time, f.value
FROM latest AS l
JOIN features.matrix AS m ON m.asset = l.asset AND m.as_of = l.t
JOIN facts AS f ON f.asset = l.asset AND f.place = l.place
WHERE l.side = 1
ORDER BY m.asset, m.as_of
