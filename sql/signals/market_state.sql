-- One market state a decision day: the age of invested dollars, whales and MVRV long/short through the fusion rules. Each
-- family goes in as its flags packed into an integer (see `fusion`); a family that is not ready makes it null, and a day
-- without all three is `no_trade` with the missing families as its reason.
WITH flags AS (
    SELECT asset, date, known_at, mdia_v2_regime AS mdia_regime, whale_regime, mvrv_ls_regime AS long_short_regime,
           CASE WHEN mdia_ready THEN
               CASE mdia_v2_regime WHEN 'strong_inflow' THEN 1 WHEN 'inflow' THEN 2 WHEN 'distribution' THEN 4 ELSE 0 END
           END AS mdia,
           CASE WHEN whale_ready THEN
               CAST(whale_broad_accum AS INT) + 2 * CAST(whale_strategic_accum AS INT) + 4 * CAST(whale_distribution AS INT)
               + 8 * CAST(whale_strong_distribution AS INT) + 16 * CAST(whale_retail_trap AS INT)
           END AS whales,
           CASE WHEN whale_ready THEN
               32 * CAST(whale_mega_conflict AS INT) + 64 * CAST(whale_small_conflict AS INT)
           END AS whale_conflicts,
           CASE WHEN mvrv_ls_ready THEN
               CAST(mvrv_ls_call_confirm AS INT) + 2 * CAST(mvrv_ls_call_confirm_recovery AS INT)
               + 4 * CAST(mvrv_ls_call_confirm_trend AS INT) + 8 * CAST(mvrv_ls_weak_uptrend AS INT)
               + 16 * CAST(mvrv_ls_put_confirm AS INT) + 32 * CAST(mvrv_ls_bear_continuation AS INT)
               + 64 * CAST(mvrv_ls_early_rollover AS INT) + 128 * CAST(mvrv_ls_weak_downtrend AS INT)
               + 256 * CAST(mvrv_ls_distribution_warning AS INT)
           END AS long_short,
           CASE WHEN mvrv_ls_ready THEN 512 * CAST(mvrv_ls_conflict AS INT) END AS long_short_conflict,
           CAST(mvrv_ls_conflict AS INT) + CAST(whale_mega_conflict AS INT) + CAST(whale_small_conflict AS INT) AS conflicts,
           concat_ws('; ', CASE WHEN NOT mdia_ready THEN mdia_reason END, CASE WHEN NOT whale_ready THEN whale_reason END,
                     CASE WHEN NOT mvrv_ls_ready THEN mvrv_ls_reason END) AS not_ready
    FROM features.onchain_signals
    WHERE asset = $asset
),
fused AS (
    SELECT *,
           fusion(mdia, whales + whale_conflicts, long_short + long_short_conflict, $fusion_rules) AS verdict,
           fusion_state(mdia, whales + whale_conflicts, long_short + long_short_conflict, $fusion_rules) AS rule_state,
           fusion_confidence(mdia, whales + whale_conflicts, long_short + long_short_conflict, $fusion_rules) AS rule_confidence,
           fusion_reason(mdia, whales + whale_conflicts, long_short + long_short_conflict, $fusion_rules) AS rule_reason,
           mdia IS NULL OR whales IS NULL OR long_short IS NULL AS blind
    FROM flags
)
SELECT asset, date, known_at,
       CASE WHEN blind THEN 'no_trade' ELSE rule_state END AS state,
       verdict['score'] AS score,
       CASE WHEN blind THEN 'low' ELSE rule_confidence END AS confidence,
       CAST(coalesce(verdict['direction'], 0.0) AS BIGINT) AS direction,
       coalesce(verdict['size'], 0.0) AS size,
       CAST(fusion(mdia, 0, 0)['score'] AS BIGINT) AS mdia_points,
       CAST(fusion(0, whales, 0)['score'] AS BIGINT) AS whale_points,
       CAST(fusion(0, 0, long_short)['score'] AS BIGINT) AS long_short_points,
       CAST(conflicts AS BIGINT) AS conflicts,
       mdia_regime, whale_regime, long_short_regime,
       nullif(CASE WHEN blind THEN not_ready ELSE rule_reason END, '') AS reason
FROM fused
