-- Mood of the crowd. The weighted social sentiment of the asset where there is one, else the fear and greed index of the
-- whole market; `sent_source` says which. `sent_norm` is a z-score over 365 decision days: a window that ends, so that any
-- day can be computed from a bounded past.
WITH days AS (
    SELECT unnest(range(CAST($start AS DATE) - INTERVAL '480 days', CAST($end AS DATE), INTERVAL '1 day')) AS date
),
known AS (
    SELECT date, metric, venue, venue_rank, value
    FROM onchain.daily
    WHERE asset = $asset AND metric IN ('social_sentiment', 'fear_greed')
),
sources AS (
    SELECT metric, venue, min(venue_rank) AS venue_rank FROM known GROUP BY metric, venue
),
dense AS (
    SELECT d.date, v.metric, v.venue, v.venue_rank, k.value AS x
    FROM days d
    CROSS JOIN sources v
    LEFT JOIN known k ON k.date = d.date AND k.venue = v.venue AND k.metric = v.metric
),
scored AS (
    SELECT *, x - lag(x, 7) OVER w AS trend_7d, zscore(x, 30) OVER w365 AS norm, pct_rank_last(x, 60) OVER w180 AS pct_180,
           zscore(x, 15) OVER w30 AS z_30, CASE WHEN count(x) OVER w30 >= 15 THEN min(x) OVER w30 END AS min_30,
           CASE WHEN count(x) OVER w30 >= 15 THEN max(x) OVER w30 END AS max_30,
           CASE WHEN count(x) OVER y30 >= 15 THEN min(x) OVER y30 END AS min_before_30,
           CASE WHEN count(x) OVER y30 >= 15 THEN max(x) OVER y30 END AS max_before_30,
           zscore(x, 30) OVER w90 AS z_90, CASE WHEN count(x) OVER w90 >= 30 THEN min(x) OVER w90 END AS min_90,
           CASE WHEN count(x) OVER w90 >= 30 THEN max(x) OVER w90 END AS max_90,
           CASE WHEN count(x) OVER y90 >= 30 THEN min(x) OVER y90 END AS min_before_90,
           CASE WHEN count(x) OVER y90 >= 30 THEN max(x) OVER y90 END AS max_before_90,
           zscore(x, 60) OVER w180 AS z_180, CASE WHEN count(x) OVER w180 >= 60 THEN min(x) OVER w180 END AS min_180,
           CASE WHEN count(x) OVER w180 >= 60 THEN max(x) OVER w180 END AS max_180,
           CASE WHEN count(x) OVER y180 >= 60 THEN min(x) OVER y180 END AS min_before_180,
           CASE WHEN count(x) OVER y180 >= 60 THEN max(x) OVER y180 END AS max_before_180,
           zscore(x, 121) OVER w365 AS z_365, CASE WHEN count(x) OVER w365 >= 121 THEN min(x) OVER w365 END AS min_365,
           CASE WHEN count(x) OVER w365 >= 121 THEN max(x) OVER w365 END AS max_365,
           CASE WHEN count(x) OVER y365 >= 121 THEN min(x) OVER y365 END AS min_before_365,
           CASE WHEN count(x) OVER y365 >= 121 THEN max(x) OVER y365 END AS max_before_365
    FROM dense
    WINDOW w AS (PARTITION BY metric, venue ORDER BY date),
           w30 AS (PARTITION BY metric, venue ORDER BY date ROWS BETWEEN 29 PRECEDING AND CURRENT ROW),
           y30 AS (PARTITION BY metric, venue ORDER BY date ROWS BETWEEN 30 PRECEDING AND 1 PRECEDING),
           w90 AS (PARTITION BY metric, venue ORDER BY date ROWS BETWEEN 89 PRECEDING AND CURRENT ROW),
           y90 AS (PARTITION BY metric, venue ORDER BY date ROWS BETWEEN 90 PRECEDING AND 1 PRECEDING),
           w180 AS (PARTITION BY metric, venue ORDER BY date ROWS BETWEEN 179 PRECEDING AND CURRENT ROW),
           y180 AS (PARTITION BY metric, venue ORDER BY date ROWS BETWEEN 180 PRECEDING AND 1 PRECEDING),
           w365 AS (PARTITION BY metric, venue ORDER BY date ROWS BETWEEN 364 PRECEDING AND CURRENT ROW),
           y365 AS (PARTITION BY metric, venue ORDER BY date ROWS BETWEEN 365 PRECEDING AND 1 PRECEDING)
),
marked AS (
    SELECT *, norm - lag(norm, 3) OVER w AS change_3d, norm - lag(norm, 5) OVER w AS change_5d,
           CASE WHEN count(norm) OVER w90 >= 30 THEN stddev(norm) OVER w90 END AS sd_90,
           CASE WHEN pct_180 IS NULL THEN NULL WHEN pct_180 < 0.10 THEN -2 WHEN pct_180 < 0.30 THEN -1
                WHEN pct_180 < 0.70 THEN 0 WHEN pct_180 < 0.90 THEN 1 ELSE 2 END AS level,
           (x - min_30) / nullif(max_30 - min_30, 0) AS rel_30, x < min_before_30 AS low_30, x > max_before_30 AS high_30,
           (x - min_90) / nullif(max_90 - min_90, 0) AS rel_90, x < min_before_90 AS low_90, x > max_before_90 AS high_90,
           (x - min_180) / nullif(max_180 - min_180, 0) AS rel_180, x < min_before_180 AS low_180, x > max_before_180 AS high_180,
           (x - min_365) / nullif(max_365 - min_365, 0) AS rel_365, x < min_before_365 AS low_365, x > max_before_365 AS high_365
    FROM scored
    WINDOW w AS (PARTITION BY metric, venue ORDER BY date),
           w90 AS (PARTITION BY metric, venue ORDER BY date ROWS BETWEEN 89 PRECEDING AND CURRENT ROW)
),
lasting AS (
    SELECT *, change_3d > 0.05 AND change_5d > 0.05 AS rising, change_3d < -0.05 AND change_5d < -0.05 AS falling,
           abs(change_3d) < 0.25 * sd_90 AS flattening,
           CASE WHEN count(level) OVER w5 = 5 THEN max(level) OVER w5 = -2 END AS extreme_fear_5d,
           CASE WHEN count(level) OVER w5 = 5 THEN min(level) OVER w5 = 2 END AS extreme_greed_5d,
           CASE WHEN count(level) OVER w7 = 7 THEN max(level) OVER w7 <= -1 END AS fear_7d,
           CASE WHEN count(level) OVER w7 = 7 THEN min(level) OVER w7 >= 1 END AS greed_7d
    FROM marked
    WINDOW w5 AS (PARTITION BY metric, venue ORDER BY date ROWS BETWEEN 4 PRECEDING AND CURRENT ROW),
           w7 AS (PARTITION BY metric, venue ORDER BY date ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)
),
-- A venue without a value on a day is no candidate: else one that begins later could already be preferred.
best AS (
    SELECT * FROM lasting
    WHERE date >= CAST($start AS DATE) AND x IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY date ORDER BY metric <> 'social_sentiment', venue_rank, venue) = 1
),
fear_greed AS (
    SELECT date, value FROM known WHERE metric = 'fear_greed'
    QUALIFY row_number() OVER (PARTITION BY date ORDER BY venue_rank, venue) = 1
),
present AS (
    SELECT DISTINCT date FROM onchain.daily WHERE asset = $asset AND date >= CAST($start AS DATE)
)
SELECT $asset AS asset, p.date, arrow_cast(p.date, 'Timestamp(Microsecond, Some("UTC"))') AS known_at,
       CASE WHEN x IS NOT NULL THEN concat(b.metric, ':', b.venue) END AS sent_source, x AS sent_raw, norm AS sent_norm,
       g.value AS sent_fear_greed, trend_7d AS sent_trend_7d, trend_7d > 0 AS sent_up_7d, trend_7d < 0 AS sent_down_7d,
       z_30 AS sent_z_30, min_30 AS sent_min_30, max_30 AS sent_max_30, rel_30 < 0.10 AS sent_near_bottom_30,
       rel_30 > 0.90 AS sent_near_top_30, low_30 AS sent_new_low_30, high_30 AS sent_new_high_30,
       z_90 AS sent_z_90, min_90 AS sent_min_90, max_90 AS sent_max_90, rel_90 < 0.10 AS sent_near_bottom_90,
       rel_90 > 0.90 AS sent_near_top_90, low_90 AS sent_new_low_90, high_90 AS sent_new_high_90,
       z_180 AS sent_z_180, min_180 AS sent_min_180, max_180 AS sent_max_180, rel_180 < 0.10 AS sent_near_bottom_180,
       rel_180 > 0.90 AS sent_near_top_180, low_180 AS sent_new_low_180, high_180 AS sent_new_high_180,
       z_365 AS sent_z_365, min_365 AS sent_min_365, max_365 AS sent_max_365, rel_365 < 0.10 AS sent_near_bottom_365,
       rel_365 > 0.90 AS sent_near_top_365, low_365 AS sent_new_low_365, high_365 AS sent_new_high_365,
       pct_180 AS sent_roll_pct_180, CAST(level AS BIGINT) AS sent_level,
       CASE level WHEN -2 THEN 'extreme_fear' WHEN -1 THEN 'fear' WHEN 0 THEN 'neutral' WHEN 1 THEN 'greed'
                  WHEN 2 THEN 'extreme_greed' END AS sent_bucket,
       change_3d AS sent_change_3d, change_5d AS sent_change_5d, rising AS sent_rising, falling AS sent_falling,
       flattening AS sent_flattening, extreme_fear_5d AS sent_extreme_fear_5d, extreme_greed_5d AS sent_extreme_greed_5d,
       fear_7d AS sent_fear_7d, greed_7d AS sent_greed_7d,
       level <= -1 AND rising AS sent_regime_call_supportive, level = -2 AND flattening AS sent_regime_call_mean_reversion,
       level >= 1 AND rising AS sent_regime_put_supportive, extreme_greed_5d AS sent_regime_avoid_longs,
       coalesce(level IS NOT NULL AND norm IS NOT NULL AND change_5d IS NOT NULL, false) AS sent_ready,
       CASE WHEN x IS NULL THEN 'missing: social_sentiment, fear_greed'
            WHEN level IS NULL OR norm IS NULL OR change_5d IS NULL THEN 'warm-up: sentiment' END AS sent_reason
FROM present p
LEFT JOIN best b ON b.date = p.date
LEFT JOIN fear_greed g ON g.date = p.date
