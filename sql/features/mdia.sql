-- Mean dollar invested age: the age of a dollar paid for coins. It falls when young money arrives.
-- The first reading (`mdia_regime`) counts horizons; the second (`mdia_v2_*`) leaves out the one-day slope, smooths the
-- others and asks a regime to hold for two days.
WITH days AS (
    SELECT unnest(range(CAST($start AS DATE) - INTERVAL '200 days', CAST($end AS DATE), INTERVAL '1 day')) AS date
),
series AS (
    SELECT date, venue, venue_rank, value FROM onchain.daily WHERE asset = $asset AND metric = 'mdia'
),
venues AS (
    SELECT venue, min(venue_rank) AS venue_rank FROM series GROUP BY venue
),
dense AS (
    SELECT d.date, v.venue, v.venue_rank, s.value AS x
    FROM days d CROSS JOIN venues v LEFT JOIN series s ON s.date = d.date AND s.venue = v.venue
),
slopes AS (
    SELECT *, x - lag(x, 1) OVER w AS slope_1, x - lag(x, 2) OVER w AS slope_2,
           x - lag(x, 4) OVER w AS slope_4, x - lag(x, 7) OVER w AS slope_7
    FROM dense
    WINDOW w AS (PARTITION BY venue ORDER BY date)
),
scored AS (
    SELECT *,
           zscore(slope_1, 30) OVER w90 AS z_1, zscore(slope_2, 30) OVER w90 AS z_2,
           zscore(slope_4, 30) OVER w90 AS z_4, zscore(slope_7, 30) OVER w90 AS z_7,
           CASE WHEN slope_2 IS NOT NULL THEN ema(slope_2, 0.5) OVER w15 END AS smooth_2,
           CASE WHEN slope_4 IS NOT NULL THEN ema(slope_4, 0.5) OVER w15 END AS smooth_4,
           CASE WHEN slope_7 IS NOT NULL THEN ema(slope_7, 0.5) OVER w15 END AS smooth_7
    FROM slopes
    WINDOW w90 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 89 PRECEDING AND CURRENT ROW),
           w15 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 14 PRECEDING AND CURRENT ROW)
),
bucketed AS (
    SELECT *,
           CASE WHEN z_1 IS NULL THEN NULL WHEN z_1 > 0.5 THEN 1 WHEN z_1 < -1.5 THEN -2 WHEN z_1 < -0.5 THEN -1 ELSE 0 END AS b_1,
           CASE WHEN z_2 IS NULL THEN NULL WHEN z_2 > 0.5 THEN 1 WHEN z_2 < -1.5 THEN -2 WHEN z_2 < -0.5 THEN -1 ELSE 0 END AS b_2,
           CASE WHEN z_4 IS NULL THEN NULL WHEN z_4 > 0.5 THEN 1 WHEN z_4 < -1.5 THEN -2 WHEN z_4 < -0.5 THEN -1 ELSE 0 END AS b_4,
           CASE WHEN z_7 IS NULL THEN NULL WHEN z_7 > 0.5 THEN 1 WHEN z_7 < -1.5 THEN -2 WHEN z_7 < -0.5 THEN -1 ELSE 0 END AS b_7,
           zscore(smooth_2, 30) OVER w56 AS v2_z_2, zscore(smooth_4, 30) OVER w56 AS v2_z_4,
           zscore(smooth_7, 30) OVER w56 AS v2_z_7
    FROM scored
    WINDOW w56 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 55 PRECEDING AND CURRENT ROW)
),
counted AS (
    SELECT *,
           CASE WHEN b_1 <= -1 THEN 1 ELSE 0 END + CASE WHEN b_2 <= -1 THEN 1 ELSE 0 END
               + CASE WHEN b_4 <= -1 THEN 1 ELSE 0 END + CASE WHEN b_7 <= -1 THEN 1 ELSE 0 END
               + 0 * (b_1 + b_2 + b_4 + b_7) AS inflow_count,
           b_2 < b_4 AS accel_2d_vs_4d, b_2 < b_1 AS accel_2d_vs_1d,
           (v2_z_7 < -1 OR v2_z_4 < -1) AND v2_z_7 < 0 AND v2_z_4 < 0 AND v2_z_2 <= 0.25 AS v2_strong_today,
           v2_z_7 < -0.25 OR (v2_z_4 < -0.25 AND v2_z_2 < -0.25) AS v2_inflow_today,
           v2_z_7 > 0.25 AND v2_z_4 > 0.25 AS v2_ageing_today
    FROM bucketed
),
flagged AS (
    SELECT *, inflow_count = 4 AS breadth_inflow, inflow_count >= 3 AS breadth_inflow_3of4,
           accel_2d_vs_4d OR accel_2d_vs_1d AS is_accelerating,
           v2_strong_today AND lag(v2_strong_today) OVER w AS v2_strong_inflow,
           v2_inflow_today AND lag(v2_inflow_today) OVER w AS v2_inflow,
           v2_ageing_today AND lag(v2_ageing_today) OVER w AS v2_ageing
    FROM counted
    WINDOW w AS (PARTITION BY venue ORDER BY date)
),
-- A venue without a value on a day is no candidate: else one that begins later could already be preferred.
best AS (
    SELECT * FROM flagged
    WHERE date >= CAST($start AS DATE) AND x IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY date ORDER BY venue_rank, venue) = 1
),
present AS (
    SELECT DISTINCT date FROM onchain.daily WHERE asset = $asset AND date >= CAST($start AS DATE)
)
SELECT $asset AS asset, p.date, arrow_cast(p.date, 'Timestamp(Microsecond, Some("UTC"))') AS known_at,
       x AS mdia_days, slope_1 AS mdia_slope_1, slope_2 AS mdia_slope_2, slope_4 AS mdia_slope_4, slope_7 AS mdia_slope_7,
       z_1 AS mdia_slope_z_1, z_2 AS mdia_slope_z_2, z_4 AS mdia_slope_z_4, z_7 AS mdia_slope_z_7,
       CAST(b_1 AS BIGINT) AS mdia_bucket_1, CAST(b_2 AS BIGINT) AS mdia_bucket_2,
       CAST(b_4 AS BIGINT) AS mdia_bucket_4, CAST(b_7 AS BIGINT) AS mdia_bucket_7,
       CAST(inflow_count AS BIGINT) AS mdia_inflow_count, breadth_inflow AS mdia_breadth_inflow,
       breadth_inflow_3of4 AS mdia_breadth_inflow_3of4, accel_2d_vs_4d AS mdia_accel_2d_vs_4d,
       accel_2d_vs_1d AS mdia_accel_2d_vs_1d, is_accelerating AS mdia_is_accelerating,
       CASE WHEN inflow_count IS NULL THEN NULL
            WHEN breadth_inflow AND is_accelerating THEN 'strong_inflow'
            WHEN breadth_inflow_3of4 THEN 'inflow'
            WHEN b_1 >= 1 AND b_2 >= 1 THEN 'distribution'
            ELSE 'neutral' END AS mdia_regime,
       v2_z_2 AS mdia_v2_z_2, v2_z_4 AS mdia_v2_z_4, v2_z_7 AS mdia_v2_z_7,
       v2_strong_inflow AS mdia_v2_strong_inflow, v2_inflow AS mdia_v2_inflow, v2_ageing AS mdia_v2_ageing,
       CASE WHEN v2_strong_inflow IS NULL OR v2_inflow IS NULL OR v2_ageing IS NULL THEN NULL
            WHEN v2_strong_inflow THEN 'strong_inflow' WHEN v2_inflow THEN 'inflow' WHEN v2_ageing THEN 'distribution'
            ELSE 'neutral' END AS mdia_v2_regime,
       coalesce(inflow_count IS NOT NULL AND v2_strong_inflow IS NOT NULL AND v2_inflow IS NOT NULL
                AND v2_ageing IS NOT NULL, false) AS mdia_ready,
       CASE WHEN x IS NULL THEN 'missing: mdia'
            WHEN inflow_count IS NULL OR v2_strong_inflow IS NULL OR v2_inflow IS NULL OR v2_ageing IS NULL THEN 'warm-up: mdia'
       END AS mdia_reason
FROM present p
LEFT JOIN best b ON b.date = p.date
