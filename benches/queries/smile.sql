-- Smiles of one day: out-of-the-money volatilities of every expiry and snapshot.
SELECT event_time, expiry, strike, log_moneyness, iv, bid_iv, ask_iv, delta
FROM options.greeks
WHERE asset = 'BTC' AND CAST(event_time AS DATE) = DATE '2026-02-10'
  AND out_of_the_money AND iv IS NOT NULL
ORDER BY event_time, expiry, strike, delta
