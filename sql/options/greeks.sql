-- Prices are taken to undiscounted USD first: an inverse quote is a share of the forward. The venue's own volatilities know
-- no discount factor, so where there is one every volatility is solved from its price.
WITH quotes AS (
    SELECT q.*, f.forward, f.expiry_years, f.rate, CASE WHEN f.discount = 1 THEN q.mark_iv END AS venue_iv,
           greatest(q.known_at, f.known_at) AS usable_at,
           CASE WHEN q.settlement = 'inverse' THEN f.forward ELSE 1 END / f.discount AS usd_a_unit,
           seconds_between(q.quoted_at, q.event_time) AS age_s
    FROM market.option_quotes q
    JOIN options.forwards f ON f.event_time = q.event_time AND f.expiry = q.expiry
),
solved AS (
    SELECT *,
           implied_vol(option_type, forward, strike, expiry_years, bid * usd_a_unit) AS bid_iv,
           implied_vol(option_type, forward, strike, expiry_years, ask * usd_a_unit) AS ask_iv,
           implied_vol_status(option_type, forward, strike, expiry_years, bid * usd_a_unit) AS bid_iv_status,
           implied_vol_status(option_type, forward, strike, expiry_years, ask * usd_a_unit) AS ask_iv_status,
           implied_vol(option_type, forward, strike, expiry_years, mark * usd_a_unit) AS solved_iv,
           implied_vol_status(option_type, forward, strike, expiry_years, mark * usd_a_unit) AS solved_iv_status
    FROM quotes
),
sourced AS (
    SELECT *, coalesce(venue_iv, solved_iv) AS iv,
           CASE WHEN venue_iv IS NOT NULL THEN 'venue_mark' WHEN mark IS NULL THEN 'no_mark' ELSE solved_iv_status END AS iv_source
    FROM solved
),
priced AS (
    SELECT *, black76_greeks(option_type, forward, strike, expiry_years, iv, rate) AS g FROM sourced
)
SELECT asset, event_time, usable_at AS known_at, instrument, expiry, strike, option_type, settlement, expiry_years,
       forward, ln(strike / forward) AS log_moneyness, iv, iv_source, bid_iv, ask_iv, g['price'] AS price_usd, g['delta'] AS delta,
       CASE WHEN settlement = 'inverse' THEN g['delta'] - g['price'] / forward ELSE g['delta'] END AS delta_premium_adjusted,
       g['gamma'] AS gamma, g['vega'] AS vega, g['theta'] AS theta, g['rho'] AS rho, g['vanna'] AS vanna,
       g['volga'] AS volga, g['charm'] AS charm,
       open_interest,
       coalesce(bid > 0 AND ask > 0, false) AS two_sided,
       (option_type = 'call') = (strike >= forward) AS out_of_the_money,
       bid_iv_status, ask_iv_status,
       CASE WHEN ask_iv >= bid_iv THEN (ask_iv - bid_iv) / 2 END AS iv_half_width,
       solved_iv, solved_iv_status, solved_iv - mark_iv AS iv_gap,
       quote_exclusions(expiry_years, bid, ask, iv, open_interest, age_s, $quote_spread_max, $quote_age_s_max) AS exclusion
FROM priced
