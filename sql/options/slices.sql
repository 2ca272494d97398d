-- Only the out-of-the-money side carries volatility information; a quote weighs by vega over its spread in volatility,
-- and a one-sided quote by a tenth of the slice's least precise two-sided one would be, taken here as a spread of 10 points.
WITH usable AS (
    SELECT *,
           -- Spreads below half a volatility point are not believed: they would let one quote own the fit.
           CASE WHEN two_sided AND bid_iv IS NOT NULL AND ask_iv IS NOT NULL
                THEN vega / forward / greatest(ask_iv - bid_iv, 0.005)
                ELSE vega / forward / 0.10 END AS weight
    FROM options.greeks
    WHERE out_of_the_money AND iv > 0 AND vega > 0 AND abs(delta) BETWEEN 0.01 AND 0.99
),
fitted AS (
    SELECT event_time, expiry, svi_fit(log_moneyness, iv, weight, expiry_years) AS fit,
           count(*) AS quotes, count(*) FILTER (WHERE two_sided) AS two_sided_quotes
    FROM usable GROUP BY event_time, expiry
),
expiries AS (
    SELECT asset, event_time, expiry, max(known_at) AS known_at, max(expiry_years) AS expiry_years,
           max(forward) AS forward
    FROM options.greeks GROUP BY asset, event_time, expiry
)
SELECT e.asset, e.event_time, e.known_at, e.expiry, e.expiry_years, e.forward,
       f.fit['a'] AS a, f.fit['b'] AS b, f.fit['rho'] AS rho, f.fit['m'] AS m, f.fit['sigma'] AS sigma,
       f.fit['rmse_vol'] AS rmse_vol,
       CAST(coalesce(f.quotes, 0) AS BIGINT) AS quotes,
       CAST(coalesce(f.two_sided_quotes, 0) AS BIGINT) AS two_sided_quotes,
       f.fit['g_min'] AS g_min, f.fit['butterfly_free'] AS butterfly_free,
       coalesce(f.fit['status'], 'no_usable_quotes') AS status
FROM expiries e
LEFT JOIN fitted f ON f.event_time = e.event_time AND f.expiry = e.expiry
