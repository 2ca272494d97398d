-- Median and tails of the spread between ask and bid volatility, by asset, kind and month.
SELECT asset, option_type, date_trunc('month', event_time) AS month, count(*) AS quotes,
       median(ask_iv - bid_iv) AS half,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY ask_iv - bid_iv) AS p90
FROM options.greeks
WHERE two_sided AND ask_iv IS NOT NULL AND bid_iv IS NOT NULL
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
