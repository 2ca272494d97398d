-- Signs: skew = IV(25-delta put) - IV(25-delta call), so it is positive when puts are dear (it is minus the risk reversal);
-- wing asymmetry compares how much further the ten-delta call climbs than the ten-delta put.
-- The shock is that of the 25 nodes which the components stand on, so that a wider grid does not change it.
WITH nodes AS (
    SELECT asset, event_time, known_at, tenor_days, node, log_moneyness, iv FROM options.surface_nodes
),
moves AS (
    SELECT event_time, greatest(known_at, lag(known_at) OVER w) AS known_at,
           iv - lag(iv) OVER w AS change, seconds_between(lag(event_time) OVER w, event_time) AS gap_s
    FROM nodes
    WHERE tenor_days <= 90 AND node NOT IN ('5p', '5c')
    WINDOW w AS (PARTITION BY tenor_days, node ORDER BY event_time)
),
changes AS (
    SELECT event_time, max(known_at) AS known_at,
           sqrt(avg(change * change)) / sqrt(max(gap_s) / 86400.0) AS surface_change
    FROM moves
    WHERE change IS NOT NULL
    GROUP BY event_time
),
shocks AS (
    SELECT event_time, surface_change,
           -- A snapshot that came late makes late what is measured against it.
           max(known_at) OVER w AS known_at,
           zscore(surface_change, 10) OVER w AS surface_shock
    FROM changes
    WINDOW w AS (ORDER BY event_time RANGE BETWEEN INTERVAL '30' DAY PRECEDING AND CURRENT ROW)
),
wide AS (
    SELECT asset, event_time, max(known_at) AS known_at,
           max(iv) FILTER (WHERE tenor_days = 30 AND node = 'atm') AS atm_30d,
           max(iv) FILTER (WHERE tenor_days = 7 AND node = 'atm') AS atm_7d,
           max(iv) FILTER (WHERE tenor_days = 90 AND node = 'atm') AS atm_90d,
           max(iv) FILTER (WHERE tenor_days = 30 AND node = '10p') AS iv_10p,
           max(iv) FILTER (WHERE tenor_days = 30 AND node = '25p') AS iv_25p,
           max(iv) FILTER (WHERE tenor_days = 30 AND node = '25c') AS iv_25c,
           max(iv) FILTER (WHERE tenor_days = 30 AND node = '10c') AS iv_10c,
           max(log_moneyness) FILTER (WHERE tenor_days = 30 AND node = '10p') AS k_10p,
           max(log_moneyness) FILTER (WHERE tenor_days = 30 AND node = '25p') AS k_25p,
           max(log_moneyness) FILTER (WHERE tenor_days = 30 AND node = '25c') AS k_25c,
           max(log_moneyness) FILTER (WHERE tenor_days = 30 AND node = '10c') AS k_10c
    FROM nodes
    WHERE event_time >= $start AND event_time < $end
    GROUP BY asset, event_time
),
fits AS (
    SELECT event_time, count(a) AS slices FROM options.slices GROUP BY event_time
),
tails AS (
    SELECT event_time, left_tail, right_tail FROM options.density WHERE tenor_days = 30
)
SELECT w.asset, w.event_time, greatest(w.known_at, s.known_at, p.known_at) AS known_at,
       w.atm_30d AS level,
       w.iv_25p - w.iv_25c AS skew,
       (w.iv_25p + w.iv_25c) / 2 - w.atm_30d AS curvature,
       w.atm_90d - w.atm_7d AS term_structure,
       (w.iv_10c - w.iv_25c) - (w.iv_10p - w.iv_25p) AS wing_asymmetry,
       p.pca_1, p.pca_2, p.pca_3, p.pca_4, p.pca_5,
       s.surface_change, s.surface_shock, w.atm_7d, w.atm_90d, t.left_tail, t.right_tail,
       (w.iv_10p - w.iv_25p) / nullif(w.k_25p - w.k_10p, 0) AS put_wing_slope,
       (w.iv_10c - w.iv_25c) / nullif(w.k_10c - w.k_25c, 0) AS call_wing_slope,
       CAST(coalesce(f.slices, 0) AS BIGINT) AS slices,
       CASE WHEN w.atm_30d IS NULL THEN 'no_surface'
            WHEN p.reason IS NOT NULL THEN p.reason
            WHEN s.surface_shock IS NULL THEN 'short_shock_history' END AS reason,
       (w.atm_90d - w.atm_7d) / (sqrt(90.0 / 365) - sqrt(7.0 / 365)) AS term_slope,
       w.iv_25c - w.iv_25p AS rr25,
       (w.iv_25p + w.iv_25c) / 2 - w.atm_30d AS bf25,
       w.iv_10c - w.iv_10p AS rr10,
       (w.iv_10p + w.iv_10c) / 2 - w.atm_30d AS bf10,
       forward_vol(w.atm_30d, 30.0 / 365, w.atm_90d, 90.0 / 365) AS forward_iv_30d_90d,
       p.shock_distance, p.explained_share, p.reconstruction_error, p.atm_percentile,
       -- A crash is the top of the range with the front above the month: fear of now, not a higher level.
       CASE WHEN p.atm_percentile >= 0.95 AND w.atm_7d > w.atm_30d THEN 'crash'
            WHEN p.atm_percentile >= 0.75 THEN 'high'
            WHEN p.atm_percentile <= 0.25 THEN 'low'
            WHEN p.atm_percentile IS NOT NULL THEN 'normal' END AS atm_regime
FROM wide w
LEFT JOIN shocks s ON s.event_time = w.event_time
LEFT JOIN fits f ON f.event_time = w.event_time
LEFT JOIN tails t ON t.event_time = w.event_time
LEFT JOIN features.surface_pca p ON p.event_time = w.event_time
