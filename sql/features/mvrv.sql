-- MVRV: market value over what was paid. Three families: the long/short difference (`mvrv_ls_*`), the mean of seven
-- time-bound ratios (`mvrv_comp_*`) and the ratio of coins moved within 60 days (`mvrv60_*`); beside them the ratio of all
-- coins (`mvrv_all_*`), which more vendors have. Ratios: 1 is break-even.
WITH days AS (
    SELECT unnest(range(CAST($start AS DATE) - INTERVAL '420 days', CAST($end AS DATE), INTERVAL '1 day')) AS date
),
known AS (
    SELECT date, metric, venue, venue_rank, value
    FROM onchain.daily
    WHERE asset = $asset AND metric LIKE 'mvrv%'
),
venues AS (
    SELECT venue, min(venue_rank) AS venue_rank FROM known GROUP BY venue
),
wide AS (
    SELECT d.date, v.venue, v.venue_rank,
           max(k.value) FILTER (WHERE k.metric = 'mvrv') AS mvrv,
           max(k.value) FILTER (WHERE k.metric = 'mvrv_long_short_diff') AS vendor_diff,
           max(k.value) FILTER (WHERE k.metric = 'mvrv_usd_1d') AS m1,
           max(k.value) FILTER (WHERE k.metric = 'mvrv_usd_7d') AS m7,
           max(k.value) FILTER (WHERE k.metric = 'mvrv_usd_30d') AS m30,
           max(k.value) FILTER (WHERE k.metric = 'mvrv_usd_60d') AS m60,
           max(k.value) FILTER (WHERE k.metric = 'mvrv_usd_90d') AS m90,
           max(k.value) FILTER (WHERE k.metric = 'mvrv_usd_180d') AS m180,
           max(k.value) FILTER (WHERE k.metric = 'mvrv_usd_365d') AS m365
    FROM days d
    CROSS JOIN venues v
    LEFT JOIN known k ON k.date = d.date AND k.venue = v.venue
    GROUP BY d.date, v.venue, v.venue_rank
),
-- Long/short difference: 365-day ratio less 60-day ratio, each over the coins that moved within the window.
ls_values AS (
    SELECT date, venue, venue_rank, coalesce(vendor_diff, m365 - m60) AS x FROM wide
),
ls_deltas AS (
    SELECT *, x - lag(x, 2) OVER w AS d_2, x - lag(x, 4) OVER w AS d_4, x - lag(x, 7) OVER w AS d_7, x - lag(x, 14) OVER w AS d_14
    FROM ls_values
    WINDOW w AS (PARTITION BY venue ORDER BY date)
),
ls_scored AS (
    SELECT *, pct_rank_last(x, 90) OVER w365 AS rank_365,
           zscore(d_2, 30) OVER w90 AS z_2, zscore(d_4, 30) OVER w90 AS z_4,
           zscore(d_7, 30) OVER w90 AS z_7, zscore(d_14, 30) OVER w90 AS z_14
    FROM ls_deltas
    WINDOW w90 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 89 PRECEDING AND CURRENT ROW),
           w365 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 364 PRECEDING AND CURRENT ROW)
),
ls_trends AS (
    SELECT *,
           CASE WHEN rank_365 IS NULL THEN NULL WHEN rank_365 < 0.10 THEN -2 WHEN rank_365 < 0.30 THEN -1
                WHEN rank_365 < 0.70 THEN 0 WHEN rank_365 < 0.90 THEN 1 ELSE 2 END AS level,
           CASE WHEN z_2 IS NULL THEN NULL WHEN z_2 > 0.8 THEN 1 WHEN z_2 < -0.8 THEN -1 ELSE 0 END AS t_2,
           CASE WHEN z_4 IS NULL THEN NULL WHEN z_4 > 1.0 THEN 1 WHEN z_4 < -1.0 THEN -1 ELSE 0 END AS t_4,
           CASE WHEN z_7 IS NULL THEN NULL WHEN z_7 > 1.0 THEN 1 WHEN z_7 < -1.0 THEN -1 ELSE 0 END AS t_7,
           CASE WHEN z_14 IS NULL THEN NULL WHEN z_14 > 1.2 THEN 1 WHEN z_14 < -1.2 THEN -1 ELSE 0 END AS t_14
    FROM ls_scored
),
ls_counts AS (
    SELECT *,
           CASE WHEN t_2 = 1 THEN 1 ELSE 0 END + CASE WHEN t_4 = 1 THEN 1 ELSE 0 END + CASE WHEN t_7 = 1 THEN 1 ELSE 0 END
               + CASE WHEN t_14 = 1 THEN 1 ELSE 0 END + 0 * (t_2 + t_4 + t_7 + t_14) AS rising,
           CASE WHEN t_2 = -1 THEN 1 ELSE 0 END + CASE WHEN t_4 = -1 THEN 1 ELSE 0 END + CASE WHEN t_7 = -1 THEN 1 ELSE 0 END
               + CASE WHEN t_14 = -1 THEN 1 ELSE 0 END + 0 * (t_2 + t_4 + t_7 + t_14) AS falling
    FROM ls_trends
),
-- A venue without a value on a day is no candidate: else one that begins later could already be preferred.
ls_states AS (
    SELECT *, rising >= 3 AND falling = 0 AS strong_up, falling >= 3 AND rising = 0 AS strong_down,
           rising = 2 AND falling = 0 AS weak_up, falling = 2 AND rising = 0 AS weak_down,
           t_2 = -1 OR t_4 = -1 AS rollover_any, t_2 = -1 AND t_4 = -1 AS rollover_both
    FROM ls_counts
    WHERE date >= CAST($start AS DATE) AND x IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY date ORDER BY venue_rank, venue) = 1
),
ls AS (
    SELECT date, x AS mvrv_ls_value, rank_365 AS mvrv_ls_pct_rank_365, CAST(level AS BIGINT) AS mvrv_ls_level,
           d_2 AS mvrv_ls_delta_2, d_4 AS mvrv_ls_delta_4, d_7 AS mvrv_ls_delta_7, d_14 AS mvrv_ls_delta_14,
           z_2 AS mvrv_ls_delta_z_2, z_4 AS mvrv_ls_delta_z_4, z_7 AS mvrv_ls_delta_z_7, z_14 AS mvrv_ls_delta_z_14,
           CAST(t_2 AS BIGINT) AS mvrv_ls_trend_2,
           CAST(t_4 AS BIGINT) AS mvrv_ls_trend_4,
           CAST(t_7 AS BIGINT) AS mvrv_ls_trend_7,
           CAST(t_14 AS BIGINT) AS mvrv_ls_trend_14,
           CAST(rising AS BIGINT) AS mvrv_ls_rising_count, CAST(falling AS BIGINT) AS mvrv_ls_falling_count,
           strong_up AS mvrv_ls_strong_uptrend, strong_down AS mvrv_ls_strong_downtrend,
           weak_up AS mvrv_ls_weak_uptrend, weak_down AS mvrv_ls_weak_downtrend,
           rollover_any AS mvrv_ls_early_rollover_any,
           rollover_both AND NOT strong_up AND NOT weak_up AND NOT strong_down AS mvrv_ls_early_rollover,
           rising > 0 AND falling > 0 AS mvrv_ls_conflict,
           NOT strong_up AND NOT strong_down AND NOT weak_up AND NOT weak_down AS mvrv_ls_mixed,
           NOT strong_up AND NOT strong_down AND NOT weak_up AND NOT weak_down AND NOT (rising > 0 AND falling > 0)
               AS mvrv_ls_regime_none,
           strong_up AS mvrv_ls_call_confirm, strong_up AND level < 0 AS mvrv_ls_call_confirm_recovery,
           strong_up AND level >= 0 AS mvrv_ls_call_confirm_trend,
           strong_down AS mvrv_ls_put_confirm, weak_down AS mvrv_ls_put_early,
           level >= 1 AND rollover_both AND NOT strong_up AND NOT weak_up AND NOT strong_down AS mvrv_ls_distribution_warning,
           level >= 1 AND rollover_any AND NOT strong_down AS mvrv_ls_distribution_warning_early,
           level <= -1 AND strong_down AS mvrv_ls_bear_continuation,
           CASE WHEN rising IS NULL OR level IS NULL THEN NULL
                WHEN strong_up AND level < 0 THEN 'recovery' WHEN strong_up THEN 'trend'
                WHEN strong_down AND level <= -1 THEN 'bear' WHEN strong_down THEN 'put_confirm'
                WHEN weak_up THEN 'weak_uptrend' WHEN weak_down THEN 'weak_downtrend'
                WHEN rising > 0 AND falling > 0 THEN 'conflict' ELSE 'none' END AS mvrv_ls_regime,
           rising IS NOT NULL AND level IS NOT NULL AS mvrv_ls_ready,
           CASE WHEN rising IS NULL OR level IS NULL THEN 'warm-up: mvrv_long_short_diff' END AS mvrv_ls_reason
    FROM ls_states
),
-- Composite: percent above break-even, the mean of seven windows.
comp_values AS (
    SELECT date, venue, venue_rank, 100.0 * ((m1 + m7 + m30 + m60 + m90 + m180 + m365) / 7.0 - 1.0) AS x FROM wide
),
comp_scored AS (
    SELECT *,
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
    FROM comp_values
    WINDOW w90 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 89 PRECEDING AND CURRENT ROW),
           y90 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 90 PRECEDING AND 1 PRECEDING),
           w180 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 179 PRECEDING AND CURRENT ROW),
           y180 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 180 PRECEDING AND 1 PRECEDING),
           w365 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 364 PRECEDING AND CURRENT ROW),
           y365 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 365 PRECEDING AND 1 PRECEDING)
),
comp_marks AS (
    SELECT *, z_365 - lag(z_365, 7) OVER w AS z_trend,
           (x - min_90) / nullif(max_90 - min_90, 0) AS rel_90, x < min_before_90 AS low_90, x > max_before_90 AS high_90,
           (x - min_180) / nullif(max_180 - min_180, 0) AS rel_180, x < min_before_180 AS low_180, x > max_before_180 AS high_180,
           (x - min_365) / nullif(max_365 - min_365, 0) AS rel_365, x < min_before_365 AS low_365, x > max_before_365 AS high_365
    FROM comp_scored
    WINDOW w AS (PARTITION BY venue ORDER BY date)
),
comp_states AS (
    SELECT *,
           rel_90 < 0.05 OR rel_180 < 0.05 OR rel_365 < 0.05 AS near_bottom_any,
           rel_90 > 0.95 OR rel_180 > 0.95 OR rel_365 > 0.95 AS near_top_any,
           CASE WHEN z_365 IS NULL THEN NULL WHEN z_365 < -1.5 THEN 'deep_undervalued' WHEN z_365 < -0.5 THEN 'undervalued'
                WHEN z_365 <= 0.5 THEN 'fair' WHEN z_365 <= 1.5 THEN 'overvalued' ELSE 'extreme' END AS bucket
    FROM comp_marks
    WHERE date >= CAST($start AS DATE) AND x IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY date ORDER BY venue_rank, venue) = 1
),
comp AS (
    SELECT date, x AS mvrv_comp_pct, z_90 AS mvrv_comp_z_90, z_180 AS mvrv_comp_z_180, z_365 AS mvrv_comp_z_365,
           z_90 < -1 AS mvrv_comp_undervalued_90, z_90 > 1 AS mvrv_comp_overheated_90,
           x - min_90 AS mvrv_comp_dist_min_90, max_90 - x AS mvrv_comp_dist_max_90,
           rel_90 AS mvrv_comp_rel_dist_min_90, 1.0 - rel_90 AS mvrv_comp_rel_dist_max_90,
           low_90 AS mvrv_comp_new_low_90, high_90 AS mvrv_comp_new_high_90,
           rel_90 < 0.05 AS mvrv_comp_near_bottom_90, rel_90 > 0.95 AS mvrv_comp_near_top_90,
           z_180 < -1 AS mvrv_comp_undervalued_180, z_180 > 1 AS mvrv_comp_overheated_180,
           x - min_180 AS mvrv_comp_dist_min_180, max_180 - x AS mvrv_comp_dist_max_180,
           rel_180 AS mvrv_comp_rel_dist_min_180, 1.0 - rel_180 AS mvrv_comp_rel_dist_max_180,
           low_180 AS mvrv_comp_new_low_180, high_180 AS mvrv_comp_new_high_180,
           rel_180 < 0.05 AS mvrv_comp_near_bottom_180, rel_180 > 0.95 AS mvrv_comp_near_top_180,
           z_365 < -1 AS mvrv_comp_undervalued_365, z_365 > 1 AS mvrv_comp_overheated_365,
           x - min_365 AS mvrv_comp_dist_min_365, max_365 - x AS mvrv_comp_dist_max_365,
           rel_365 AS mvrv_comp_rel_dist_min_365, 1.0 - rel_365 AS mvrv_comp_rel_dist_max_365,
           low_365 AS mvrv_comp_new_low_365, high_365 AS mvrv_comp_new_high_365,
           rel_365 < 0.05 AS mvrv_comp_near_bottom_365, rel_365 > 0.95 AS mvrv_comp_near_top_365,
           near_bottom_any AS mvrv_comp_near_bottom_any, near_top_any AS mvrv_comp_near_top_any,
           near_bottom_any OR low_180 OR low_365 AS mvrv_comp_undervalued_extreme,
           near_top_any OR high_180 OR high_365 AS mvrv_comp_overheated_extreme,
           bucket AS mvrv_comp_bucket, z_trend AS mvrv_comp_z_trend,
           z_trend > 0 AS mvrv_comp_rising, z_trend < 0 AS mvrv_comp_falling, abs(z_trend) < 0.1 AS mvrv_comp_flattening,
           bucket IN ('deep_undervalued', 'undervalued') AND z_trend > 0 AS mvrv_comp_call_backbone,
           bucket IN ('overvalued', 'extreme') AND abs(z_trend) < 0.1 AS mvrv_comp_reduce_longs,
           bucket = 'extreme' AND z_trend < 0 AS mvrv_comp_put_supportive,
           low_180 OR low_365 AS mvrv_comp_call_accumulate,
           z_trend IS NOT NULL AND low_365 IS NOT NULL AS mvrv_comp_ready,
           CASE WHEN z_trend IS NULL OR low_365 IS NULL THEN 'warm-up: mvrv_usd_1d to mvrv_usd_365d' END AS mvrv_comp_reason
    FROM comp_states
),
-- Coins moved within 60 days: whether recent buyers sit on a profit.
sixty_scored AS (
    SELECT date, venue, venue_rank, m60 AS x, pct_rank_last(m60, 20) OVER w60 AS pct,
           CASE WHEN count(m60) OVER w60 >= 20 THEN max(m60) OVER w60 END AS max_60,
           CASE WHEN count(m60) OVER w60 >= 20 THEN min(m60) OVER w60 END AS min_60,
           CASE WHEN count(m60) OVER w30 >= 10 THEN stddev(m60) OVER w30 END AS sd_30,
           m60 - lag(m60, 7) OVER w AS change_7d
    FROM wide
    WINDOW w AS (PARTITION BY venue ORDER BY date),
           w30 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 29 PRECEDING AND CURRENT ROW),
           w60 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 59 PRECEDING AND CURRENT ROW)
),
sixty_trend AS (
    SELECT *, change_7d / (sd_30 + 0.000000001) AS trend
    FROM sixty_scored
    WHERE date >= CAST($start AS DATE) AND x IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY date ORDER BY venue_rank, venue) = 1
),
sixty AS (
    SELECT date, x AS mvrv60_value, pct AS mvrv60_pct_rank, (max_60 - x) / (max_60 - min_60 + 0.000000001) AS mvrv60_dist_from_max,
           trend AS mvrv60_trend_score,
           CASE WHEN trend IS NULL THEN NULL WHEN trend < -0.5 THEN 'falling' WHEN trend <= 0.5 THEN 'flattening' ELSE 'rising' END
               AS mvrv60_trend,
           CASE WHEN x IS NULL THEN NULL WHEN x < 0.85 THEN 'deep_underwater' WHEN x < 1.0 THEN 'underwater'
                WHEN x < 1.10 THEN 'breakeven' ELSE 'profitable' END AS mvrv60_bucket,
           pct IS NOT NULL AND trend IS NOT NULL AS mvrv60_ready,
           CASE WHEN pct IS NULL OR trend IS NULL THEN 'warm-up: mvrv_usd_60d' END
               AS mvrv60_reason
    FROM sixty_trend
),
all_scored AS (
    SELECT date, venue, venue_rank, mvrv AS x, zscore(mvrv, 121) OVER w365 AS z, pct_rank_last(mvrv, 121) OVER w365 AS pct,
           mvrv - lag(mvrv, 30) OVER w AS change_30d
    FROM wide
    WINDOW w AS (PARTITION BY venue ORDER BY date),
           w365 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 364 PRECEDING AND CURRENT ROW)
),
coins AS (
    SELECT date, x AS mvrv_all_value, z AS mvrv_all_z_365, pct AS mvrv_all_pct_rank_365, change_30d AS mvrv_all_change_30d,
           z IS NOT NULL AND change_30d IS NOT NULL AS mvrv_all_ready,
           CASE WHEN z IS NULL OR change_30d IS NULL THEN 'warm-up: mvrv' END AS mvrv_all_reason
    FROM all_scored
    WHERE date >= CAST($start AS DATE) AND x IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY date ORDER BY venue_rank, venue) = 1
),
present AS (
    SELECT DISTINCT date FROM onchain.daily WHERE asset = $asset AND date >= CAST($start AS DATE)
)
SELECT $asset AS asset, p.date, arrow_cast(p.date, 'Timestamp(Microsecond, Some("UTC"))') AS known_at,
       l.* EXCLUDE (date, mvrv_ls_ready, mvrv_ls_reason), coalesce(l.mvrv_ls_ready, false) AS mvrv_ls_ready,
       CASE WHEN l.date IS NULL THEN 'missing: mvrv_long_short_diff' ELSE l.mvrv_ls_reason END AS mvrv_ls_reason,
       c.* EXCLUDE (date, mvrv_comp_ready, mvrv_comp_reason), coalesce(c.mvrv_comp_ready, false) AS mvrv_comp_ready,
       CASE WHEN c.date IS NULL THEN 'missing: mvrv_usd_1d to mvrv_usd_365d' ELSE c.mvrv_comp_reason END AS mvrv_comp_reason,
       s.* EXCLUDE (date, mvrv60_ready, mvrv60_reason), coalesce(s.mvrv60_ready, false) AS mvrv60_ready,
       CASE WHEN s.date IS NULL THEN 'missing: mvrv_usd_60d' ELSE s.mvrv60_reason END AS mvrv60_reason,
       a.* EXCLUDE (date, mvrv_all_ready, mvrv_all_reason), coalesce(a.mvrv_all_ready, false) AS mvrv_all_ready,
       CASE WHEN a.date IS NULL THEN 'missing: mvrv' ELSE a.mvrv_all_reason END AS mvrv_all_reason
FROM present p
LEFT JOIN ls l ON l.date = p.date
LEFT JOIN comp c ON c.date = p.date
LEFT JOIN sixty s ON s.date = p.date
LEFT JOIN coins a ON a.date = p.date
