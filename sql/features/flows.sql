-- Coins to exchanges less coins from exchanges, as first known at each decision day. These series are restated for months
-- after the fact, so today's history of a flow is no guide to what a past day saw.
WITH days AS (
    SELECT unnest(range(CAST($start AS DATE) - INTERVAL '260 days', CAST($end AS DATE), INTERVAL '1 day')) AS date
),
known AS (
    SELECT date, metric, venue, venue_rank, value
    FROM onchain.daily
    -- Days that bring nothing new have no flow of their own.
    WHERE asset = $asset AND metric IN ('exchange_inflow', 'exchange_outflow') AND fresh
),
venues AS (
    SELECT venue, min(venue_rank) AS venue_rank FROM known GROUP BY venue
),
wide AS (
    SELECT d.date, v.venue, v.venue_rank,
           max(k.value) FILTER (WHERE k.metric = 'exchange_inflow')
               - max(k.value) FILTER (WHERE k.metric = 'exchange_outflow') AS x
    FROM days d
    CROSS JOIN venues v
    LEFT JOIN known k ON k.date = d.date AND k.venue = v.venue
    GROUP BY d.date, v.venue, v.venue_rank
),
-- Two days may become known together; up to a quarter of a window may be missing, its mean standing for them.
sums AS (
    SELECT *, zscore(x, 30) OVER w90 AS z_90, zscore(x, 60) OVER w180 AS z_180,
           CASE WHEN count(x) OVER w2 = 2 THEN sum(x) OVER w2 END AS sum_2,
           CASE WHEN count(x) OVER w4 >= 3 THEN avg(x) OVER w4 * 4 END AS sum_4,
           CASE WHEN count(x) OVER w7 >= 6 THEN avg(x) OVER w7 * 7 END AS sum_7,
           CASE WHEN count(x) OVER w14 >= 11 THEN avg(x) OVER w14 * 14 END AS sum_14,
           CASE WHEN count(x) OVER w21 >= 16 THEN avg(x) OVER w21 * 21 END AS sum_21
    FROM wide
    WINDOW w2 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 1 PRECEDING AND CURRENT ROW),
           w4 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 3 PRECEDING AND CURRENT ROW),
           w7 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 6 PRECEDING AND CURRENT ROW),
           w14 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 13 PRECEDING AND CURRENT ROW),
           w21 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 20 PRECEDING AND CURRENT ROW),
           w90 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 89 PRECEDING AND CURRENT ROW),
           w180 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 179 PRECEDING AND CURRENT ROW)
),
slopes AS (
    SELECT *, (sum_2 - lag(sum_2, 2) OVER w) / 2.0 AS slope_2,
           (sum_4 - lag(sum_4, 4) OVER w) / 4.0 AS slope_4,
           (sum_7 - lag(sum_7, 7) OVER w) / 7.0 AS slope_7,
           (sum_14 - lag(sum_14, 14) OVER w) / 14.0 AS slope_14,
           (sum_21 - lag(sum_21, 21) OVER w) / 21.0 AS slope_21
    FROM sums
    WINDOW w AS (PARTITION BY venue ORDER BY date)
),
ranked AS (
    SELECT *, pct_rank_last(sum_7, 60) OVER w180 AS pct_180, pct_rank_last(sum_7, 30) OVER w90 AS sum_pct_90,
           pct_rank_last(slope_7, 30) OVER w90 AS slope_pct_90
    FROM slopes
    WINDOW w90 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 89 PRECEDING AND CURRENT ROW),
           w180 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 179 PRECEDING AND CURRENT ROW)
),
-- A venue without a value on a day is no candidate: else one that begins later could already be preferred.
best AS (
    SELECT *, 0.60 * sum_pct_90 + 0.25 * slope_pct_90 + 0.15 * (clip(z_90, -2.0, 2.0) + 2.0) / 4.0 AS pressure
    FROM ranked
    WHERE date >= CAST($start AS DATE) AND x IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY date ORDER BY venue_rank, venue) = 1
),
present AS (
    SELECT DISTINCT date FROM onchain.daily WHERE asset = $asset AND date >= CAST($start AS DATE)
)
SELECT $asset AS asset, p.date, arrow_cast(p.date, 'Timestamp(Microsecond, Some("UTC"))') AS known_at,
       x AS flow_balance, sum_2 AS flow_sum_2, sum_4 AS flow_sum_4, sum_7 AS flow_sum_7, sum_14 AS flow_sum_14, sum_21 AS flow_sum_21,
       slope_2 AS flow_slope_2, slope_4 AS flow_slope_4, slope_7 AS flow_slope_7, slope_14 AS flow_slope_14, slope_21 AS flow_slope_21,
       z_90 AS flow_z_90, z_180 AS flow_z_180, pct_180 AS flow_pct_180, pressure AS flow_distribution_pressure,
       coalesce(pressure IS NOT NULL AND pct_180 IS NOT NULL, false) AS flow_ready,
       CASE WHEN x IS NULL THEN 'missing: exchange_inflow, exchange_outflow'
            WHEN pressure IS NULL OR pct_180 IS NULL THEN 'warm-up: exchange flows' END AS flow_reason
FROM present p
LEFT JOIN best b ON b.date = p.date
