-- Hourly returns with their moving mean and deviation over a week, and the running high.
WITH returns AS (
  SELECT asset, venue, series, event_time, close,
         ln(close / lag(close) OVER (PARTITION BY asset, venue, series ORDER BY event_time)) AS r
  FROM market.spot_bars
  WHERE width_s = 3600
)
SELECT asset, venue, series, event_time, r,
       avg(r) OVER (PARTITION BY asset, venue, series ORDER BY event_time ROWS BETWEEN 167 PRECEDING AND CURRENT ROW) AS mean,
       stddev_samp(r) OVER (PARTITION BY asset, venue, series ORDER BY event_time ROWS BETWEEN 167 PRECEDING AND CURRENT ROW) AS deviation,
       max(close) OVER (PARTITION BY asset, venue, series ORDER BY event_time) AS high
FROM returns
ORDER BY asset, venue, series, event_time
