-- The same options as in `options.exposure`: an hour and more to live, a volatility, and no stale quote.
SELECT asset, event_time, max(known_at) AS known_at, expiry, max_pain(option_type, strike, open_interest) AS max_pain,
       sum(open_interest) FILTER (WHERE option_type = 'call') AS call_open_interest,
       sum(open_interest) FILTER (WHERE option_type = 'put') AS put_open_interest, count(*) AS options
FROM options.greeks
WHERE open_interest > 0 AND iv > 0 AND expiry_years > 1.0 / (24 * 365)
  AND NOT coalesce(array_has(string_to_array(exclusion, '+'), 'stale'), false)
GROUP BY asset, event_time, expiry
