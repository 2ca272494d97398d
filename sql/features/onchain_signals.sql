-- All families of on-chain and sentiment features of a decision day side by side, and two plain rule signals. A family
-- without data is null with its own `*_ready` and `*_reason`; it hides no other family's day.
WITH joined AS (
    SELECT m.*,
           w.* EXCLUDE (asset, date, known_at),
           v.* EXCLUDE (asset, date, known_at),
           s.* EXCLUDE (asset, date, known_at),
           f.* EXCLUDE (asset, date, known_at)
    FROM features.mdia m
    JOIN features.whales w ON w.asset = m.asset AND w.date = m.date
    JOIN features.mvrv v ON v.asset = m.asset AND v.date = m.date
    JOIN features.sentiment s ON s.asset = m.asset AND s.date = m.date
    JOIN features.flows f ON f.asset = m.asset AND f.date = m.date
    WHERE m.asset = $asset
),
counted AS (
    SELECT *,
           CASE WHEN mvrv_comp_undervalued_90 THEN 1 ELSE 0 END + CASE WHEN mvrv_comp_new_low_180 THEN 1 ELSE 0 END
               + CASE WHEN mvrv_comp_near_bottom_any THEN 1 ELSE 0 END AS cheap_signs
    FROM joined
)
SELECT * EXCLUDE (cheap_signs),
       -- Fear while at least two of three signs of a low price agree.
       CASE WHEN sent_ready AND mvrv_comp_ready THEN sent_norm < -1 AND cheap_signs >= 2 END AS signal_option_call,
       -- Greed near the top of recent profit while large holders sell.
       CASE WHEN sent_ready AND mvrv60_ready AND whale_ready
            THEN sent_norm > 1 AND (mvrv60_pct_rank >= 0.80 OR mvrv60_dist_from_max <= 0.20) AND whale_distribution END
           AS signal_option_put
FROM counted
