-- What each decision time knew of a ratio: the newest day stated by then, in its newest revision.
WITH candidates AS (
  SELECT m.asset, m.as_of, m.iv_30d, o.event_time, o.value,
         row_number() OVER (PARTITION BY m.asset, m.as_of
                            ORDER BY o.event_time DESC, o.known_at DESC, o.venue, o.revision DESC) AS place
  FROM features.matrix AS m
  JOIN onchain.metrics AS o
    ON o.asset = m.asset AND o.known_at <= m.as_of AND o.event_time > m.as_of - INTERVAL '10 days'
  WHERE o.metric = 'mvrv'
)
SELECT asset, as_of, iv_30d, event_time, value FROM candidates WHERE place = 1 ORDER BY asset, as_of
