-- The twenty quotes with the most vega in the market.
SELECT asset, event_time, instrument, vega * open_interest AS vega_usd, iv, delta
FROM options.greeks
WHERE vega IS NOT NULL AND open_interest IS NOT NULL
ORDER BY vega_usd DESC, instrument, event_time
LIMIT 20
