-- Prices are taken to USD first: an inverse quote is a share of the forward.
WITH quotes AS (
    SELECT q.*, f.forward, f.expiry_years, greatest(q.known_at, f.known_at) AS usable_at,
           CASE WHEN q.settlement = 'inverse' THEN f.forward ELSE 1 END AS usd_a_unit
    FROM market.option_quotes q
    JOIN options.forwards f ON f.event_time = q.event_time AND f.expiry = q.expiry
),
solved AS (
    SELECT *,
           implied_vol(option_type, forward, strike, expiry_years, bid * usd_a_unit) AS bid_iv,
           implied_vol(option_type, forward, strike, expiry_years, ask * usd_a_unit) AS ask_iv,
           coalesce(mark_iv, implied_vol(option_type, forward, strike, expiry_years, mark * usd_a_unit)) AS iv,
           CASE WHEN mark_iv IS NOT NULL THEN 'venue_mark'
                WHEN mark IS NULL THEN 'no_mark'
                ELSE implied_vol_status(option_type, forward, strike, expiry_years, mark * usd_a_unit) END AS iv_source
    FROM quotes
),
priced AS (
    SELECT *,
           black76_price(option_type, forward, strike, expiry_years, iv) AS price_usd,
           black76_delta(option_type, forward, strike, expiry_years, iv) AS delta
    FROM solved
)
SELECT asset, event_time, usable_at AS known_at, instrument, expiry, strike, option_type, settlement, expiry_years,
       forward, ln(strike / forward) AS log_moneyness, iv, iv_source, bid_iv, ask_iv, price_usd, delta,
       CASE WHEN settlement = 'inverse' THEN delta - price_usd / forward ELSE delta END AS delta_premium_adjusted,
       black76_gamma(option_type, forward, strike, expiry_years, iv) AS gamma,
       black76_vega(option_type, forward, strike, expiry_years, iv) AS vega,
       black76_theta(option_type, forward, strike, expiry_years, iv) AS theta,
       black76_rho(option_type, forward, strike, expiry_years, iv) AS rho,
       black76_vanna(option_type, forward, strike, expiry_years, iv) AS vanna,
       black76_volga(option_type, forward, strike, expiry_years, iv) AS volga,
       black76_charm(option_type, forward, strike, expiry_years, iv) AS charm,
       open_interest,
       coalesce(bid > 0 AND ask > 0, false) AS two_sided,
       (option_type = 'call') = (strike >= forward) AS out_of_the_money
FROM priced
