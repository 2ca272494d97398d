-- The venue's underlying price of an expiry is its future or synthetic forward; rows of one expiry can differ by cents,
-- so the median stands for all. Parity with two-sided quotes checks it: C - P = 1 - K/F in coin, C - P = F - K in USD.
WITH live AS (
    SELECT * FROM market.option_quotes WHERE expiry > event_time AND underlying_price > 0
),
pairs AS (
    SELECT c.event_time, c.expiry,
           CASE WHEN c.settlement = 'inverse'
                THEN c.strike / nullif(1 - ((c.bid + c.ask) / 2 - (p.bid + p.ask) / 2), 0)
                ELSE c.strike + (c.bid + c.ask) / 2 - (p.bid + p.ask) / 2 END AS implied_forward
    FROM live c
    JOIN live p ON p.event_time = c.event_time AND p.expiry = c.expiry AND p.strike = c.strike
               AND p.settlement = c.settlement AND p.option_type = 'put'
    WHERE c.option_type = 'call' AND c.bid > 0 AND c.ask > 0 AND p.bid > 0 AND p.ask > 0
      -- Wide quotes say nothing of parity, and near the money the spread matters least.
      AND c.ask - c.bid <= 0.25 * (c.ask + c.bid) / 2 AND p.ask - p.bid <= 0.25 * (p.ask + p.bid) / 2
      AND abs(ln(c.strike / c.underlying_price)) < 0.15
),
parity AS (
    SELECT event_time, expiry, CASE WHEN count(implied_forward) >= 3 THEN median(implied_forward) END AS forward_parity, count(implied_forward) AS parity_pairs
    FROM pairs GROUP BY event_time, expiry
),
venue AS (
    SELECT asset, event_time, expiry, max(known_at) AS known_at, median(underlying_price) AS forward
    FROM live GROUP BY asset, event_time, expiry
)
SELECT v.asset, v.event_time, v.known_at, v.expiry, year_fraction(v.event_time, v.expiry) AS expiry_years,
       v.forward, p.forward_parity, CAST(coalesce(p.parity_pairs, 0) AS BIGINT) AS parity_pairs,
       (p.forward_parity / v.forward - 1) * 10000 AS basis_bps,
       'venue' AS forward_source
FROM venue v
LEFT JOIN parity p ON p.event_time = v.event_time AND p.expiry = v.expiry
