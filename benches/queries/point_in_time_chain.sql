-- The option chain as it could be known at one instant: the newest quote of each instrument, not older than a day.
SELECT instrument, expiry, strike, option_type, event_time, bid, ask, mark_iv, open_interest
FROM market.option_quotes
WHERE asset = 'BTC'
  AND known_at <= TIMESTAMP '2026-02-10 00:00:00'
  AND event_time > TIMESTAMP '2026-02-09 00:00:00'
  AND event_time <= TIMESTAMP '2026-02-10 00:00:00'
QUALIFY row_number() OVER (PARTITION BY instrument ORDER BY event_time DESC) = 1
ORDER BY expiry, strike, option_type, instrument
