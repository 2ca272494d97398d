-- A day is compared once the venue's close is known, with the last snapshot after 20:00 UTC that was known by then.
WITH venue AS (
    SELECT asset, event_time, known_at, close, low, high FROM market.dvol WHERE width_s = 86400
)
SELECT v.asset, v.event_time, v.known_at, i.event_time AS snapshot_time, i.index, i.full_strip_vol,
       v.close AS venue_close, v.low AS venue_low, v.high AS venue_high, i.index - v.close AS difference,
       greatest(v.low - i.index, i.index - v.high, 0) AS outside_day
FROM venue v
JOIN options.variance_index i
  ON i.index IS NOT NULL AND i.known_at <= v.known_at
 AND i.event_time >= v.event_time + INTERVAL '20' HOUR AND i.event_time < v.event_time + INTERVAL '24' HOUR
QUALIFY row_number() OVER (PARTITION BY v.event_time ORDER BY i.event_time DESC) = 1
