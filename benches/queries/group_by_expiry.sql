-- Open interest and dealer gamma by expiry.
SELECT asset, expiry, count(*) AS quotes, avg(iv) AS iv, sum(open_interest) AS open_interest,
       sum(gamma * open_interest * forward * forward) AS gamma_usd, min(strike) AS low, max(strike) AS high
FROM options.greeks
GROUP BY asset, expiry
ORDER BY asset, expiry
