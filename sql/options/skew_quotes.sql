-- The quotes that `options.skew_report` adds up, one by one, in the chain that the morning's model was fitted to. Prices are in
-- the unit of the quote, coin for inverse options.
WITH fits AS (
    SELECT *, realised_vol * multiplier AS base_vol FROM options.skew_fit WHERE realised_vol * multiplier > 0
),
quotes AS (
    SELECT g.*, greatest(g.known_at, f.known_at) AS usable_at, CASE WHEN g.settlement = 'inverse' THEN g.forward ELSE 1 END AS usd_a_unit,
           CASE WHEN g.option_type = 'call'
                THEN synthetic_vol('call', g.forward, g.strike, g.expiry_years, f.base_vol, f.call_15, f.call_25, f.call_35, f.call_50)
                ELSE synthetic_vol('put', g.forward, g.strike, g.expiry_years, f.base_vol, f.put_15, f.put_25, f.put_35, f.put_50)
           END AS synthetic_iv
    FROM options.greeks g
    JOIN fits f ON f.event_time = g.event_time
    WHERE g.two_sided AND abs(g.delta) >= 0.05 AND abs(g.delta) < 0.55 AND g.expiry_years >= 1.0 / 365 AND g.price_usd > 0
),
priced AS (
    SELECT *, price_usd / usd_a_unit AS mark,
           black76_price(option_type, forward, strike, expiry_years, synthetic_iv) / usd_a_unit AS synthetic
    FROM quotes
)
SELECT asset, event_time, usable_at AS known_at, instrument, expiry, strike, option_type, settlement,
       expiry_years * 365 AS days, delta, mark, synthetic, synthetic - mark AS difference, (synthetic - mark) / mark AS difference_share,
       iv AS mark_iv, synthetic_iv, synthetic_iv - iv AS difference_vol,
       CASE WHEN synthetic_iv IS NOT NULL THEN synthetic_iv >= bid_iv AND synthetic_iv <= ask_iv END AS inside
FROM priced
