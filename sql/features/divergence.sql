-- What options price against what flows press for. Every input is a z-score over 90 decision days.
-- tail: mean of left tail mass, put-over-call skew (minus the risk reversal), put wing slope and butterfly, all 30 days.
-- pressure: mean of forced flow, minus liquidity, and supply elasticity while forced flow is above its mean.
-- score: tail less pressure, smoothed; a class is left later than it is entered (hysteresis $hysteresis_band).
WITH days AS (
    SELECT unnest(range(CAST($start AS DATE) - INTERVAL '240 days', CAST($end AS DATE), INTERVAL '1 day')) AS date
),
-- The last usable surface known at each decision, if it is of the day before it.
surfaces AS (
    SELECT CAST(known_at - INTERVAL '1 microsecond' AS DATE) + INTERVAL '1 day' AS date, event_time,
           left_tail, right_tail, skew, curvature, put_wing_slope, call_wing_slope
    FROM features.surface_factors
    WHERE asset = $asset AND (skew IS NOT NULL OR left_tail IS NOT NULL)
),
usable AS (
    SELECT * FROM surfaces
    WHERE event_time > arrow_cast(date, 'Timestamp(Microsecond, Some("UTC"))') - INTERVAL '1 day'
    QUALIFY row_number() OVER (PARTITION BY date ORDER BY event_time DESC) = 1
),
inputs AS (
    SELECT d.date, u.date IS NOT NULL AS has_surface, i.date IS NOT NULL AS has_indices,
           u.left_tail, u.right_tail, u.skew, u.curvature, u.put_wing_slope, u.call_wing_slope,
           i.supply_elasticity, i.forced_flow, i.liquidity_impulse
    FROM days d
    LEFT JOIN usable u ON CAST(u.date AS DATE) = d.date
    LEFT JOIN onchain.indices i ON i.date = d.date AND i.asset = $asset
),
scored AS (
    SELECT *,
           zscore(left_tail, 30) OVER w90 AS z_left_tail, zscore(skew, 30) OVER w90 AS z_skew,
           zscore(put_wing_slope, 30) OVER w90 AS z_put_wing, zscore(curvature, 30) OVER w90 AS z_butterfly,
           zscore(right_tail, 30) OVER w90 AS z_right_tail, zscore(call_wing_slope, 30) OVER w90 AS z_call_wing,
           zscore(forced_flow, 30) OVER w90 AS z_forced_flow, zscore(liquidity_impulse, 30) OVER w90 AS z_liquidity,
           zscore(supply_elasticity, 30) OVER w90 AS z_elasticity
    FROM inputs
    WINDOW w90 AS (ORDER BY date ROWS BETWEEN 89 PRECEDING AND CURRENT ROW)
),
counted AS (
    SELECT *,
           CASE WHEN z_left_tail IS NULL THEN 0 ELSE 1 END + CASE WHEN z_skew IS NULL THEN 0 ELSE 1 END
               + CASE WHEN z_put_wing IS NULL THEN 0 ELSE 1 END + CASE WHEN z_butterfly IS NULL THEN 0 ELSE 1 END AS n_tail,
           CASE WHEN z_right_tail IS NULL THEN 0 ELSE 1 END + CASE WHEN z_call_wing IS NULL THEN 0 ELSE 1 END AS n_call,
           CASE WHEN z_forced_flow > 0 THEN z_elasticity END AS z_elasticity_selling
    FROM scored
),
weighed AS (
    SELECT *, CASE WHEN z_forced_flow IS NULL THEN 0 ELSE 1 END + CASE WHEN z_liquidity IS NULL THEN 0 ELSE 1 END
                  + CASE WHEN z_elasticity_selling IS NULL THEN 0 ELSE 1 END AS n_pressure
    FROM counted
),
-- Signed terms of tail less pressure; a missing one counts neither in the sum nor in the mean.
terms AS (
    SELECT *,
           z_left_tail / nullif(n_tail, 0) AS t_left_tail, z_skew / nullif(n_tail, 0) AS t_skew,
           z_put_wing / nullif(n_tail, 0) AS t_put_wing, z_butterfly / nullif(n_tail, 0) AS t_butterfly,
           -z_forced_flow / nullif(n_pressure, 0) AS t_forced_flow, z_liquidity / nullif(n_pressure, 0) AS t_liquidity,
           -z_elasticity_selling / nullif(n_pressure, 0) AS t_elasticity
    FROM weighed
),
sides AS (
    SELECT *,
           CASE WHEN n_tail >= 2 THEN coalesce(t_left_tail, 0.0) + coalesce(t_skew, 0.0) + coalesce(t_put_wing, 0.0)
                                      + coalesce(t_butterfly, 0.0) END AS tail,
           CASE WHEN n_call >= 1 THEN (coalesce(z_right_tail, 0.0) + coalesce(z_call_wing, 0.0)) / n_call END AS call_side,
           CASE WHEN n_pressure >= 1 THEN -(coalesce(t_forced_flow, 0.0) + coalesce(t_liquidity, 0.0)
                                            + coalesce(t_elasticity, 0.0)) END AS pressure,
           coalesce(abs(t_left_tail), 0.0) + coalesce(abs(t_skew), 0.0) + coalesce(abs(t_put_wing), 0.0)
               + coalesce(abs(t_butterfly), 0.0) + coalesce(abs(t_forced_flow), 0.0) + coalesce(abs(t_liquidity), 0.0)
               + coalesce(abs(t_elasticity), 0.0) AS terms_abs
    FROM terms
),
differences AS (
    SELECT *, tail - pressure AS score_raw FROM sides
),
smoothed AS (
    SELECT *, CASE WHEN score_raw IS NOT NULL THEN ema(score_raw, 0.3) OVER w60 END AS score
    FROM differences
    WINDOW w60 AS (ORDER BY date ROWS BETWEEN 59 PRECEDING AND CURRENT ROW)
),
classed AS (
    SELECT *, divergence_class(score, call_side, z_elasticity, pressure, $hysteresis_band) OVER w60 AS class,
           CASE WHEN score_raw IS NOT NULL AND terms_abs > 0 THEN terms_abs END AS whole,
           greatest(coalesce(abs(t_left_tail), 0.0), coalesce(abs(t_skew), 0.0), coalesce(abs(t_put_wing), 0.0),
                    coalesce(abs(t_butterfly), 0.0), coalesce(abs(t_forced_flow), 0.0), coalesce(abs(t_liquidity), 0.0),
                    coalesce(abs(t_elasticity), 0.0)) AS largest
    FROM smoothed
    WINDOW w60 AS (ORDER BY date ROWS BETWEEN 59 PRECEDING AND CURRENT ROW)
)
SELECT $asset AS asset, date, arrow_cast(date, 'Timestamp(Microsecond, Some("UTC"))') AS known_at,
       tail, call_side, pressure, score_raw, score, coalesce(class, 'insufficient_data') AS class,
       z_left_tail, z_skew, z_put_wing, z_butterfly, z_right_tail, z_call_wing, z_forced_flow, z_liquidity, z_elasticity,
       -- Each signed term over the sum of all absolute terms: times `terms_abs` they add up to `score_raw`.
       t_left_tail / whole AS contrib_left_tail, t_skew / whole AS contrib_skew, t_put_wing / whole AS contrib_put_wing,
       t_butterfly / whole AS contrib_butterfly, t_forced_flow / whole AS contrib_forced_flow,
       t_liquidity / whole AS contrib_liquidity, t_elasticity / whole AS contrib_elasticity, whole AS terms_abs,
       CASE WHEN whole IS NULL THEN NULL
            WHEN largest = abs(t_left_tail) THEN 'left_tail' WHEN largest = abs(t_skew) THEN 'skew'
            WHEN largest = abs(t_put_wing) THEN 'put_wing' WHEN largest = abs(t_butterfly) THEN 'butterfly'
            WHEN largest = abs(t_forced_flow) THEN 'forced_flow' WHEN largest = abs(t_liquidity) THEN 'liquidity'
            ELSE 'elasticity' END AS top_contributor,
       nullif(concat_ws('; ',
           CASE WHEN tail IS NULL THEN CASE WHEN has_surface THEN 'tail: warm-up or fewer than two terms'
                                            ELSE 'tail: no surface younger than a day' END END,
           CASE WHEN pressure IS NULL THEN CASE WHEN has_indices THEN 'pressure: no index or warm-up'
                                                ELSE 'pressure: no on-chain day' END
                WHEN n_pressure < 2 THEN 'pressure: rests on one of its terms' END), '') AS reason
FROM classed
WHERE date >= CAST($start AS DATE) AND (has_surface OR has_indices)
