-- How many instruments, expiries, strikes and snapshots there are.
SELECT asset, count(DISTINCT instrument) AS instruments, count(DISTINCT expiry) AS expiries,
       count(DISTINCT strike) AS strikes, count(DISTINCT event_time) AS snapshots, count(*) AS quotes
FROM market.option_quotes
GROUP BY asset
ORDER BY asset
