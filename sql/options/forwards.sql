-- Up to three forwards of every expiry: the venue's underlying price (its future or synthetic forward; rows of one expiry can
-- differ by cents, so their median), put-call parity of two-sided quotes (C - P = D (1 - K/F) in coin, D (F - K) in USD), and
-- the dated future, or the curve through the perpetual and the futures where none is listed. Where options in coin and in USD
-- are listed together, venue and parity are those of the ones in coin. The parity line has a discount factor of its own.
WITH live AS (
    SELECT *, year_fraction(event_time, expiry) AS expiry_years FROM market.option_quotes WHERE expiry > event_time
),
-- The newest overnight rate known with the snapshot; crypto venues quote undiscounted, so the default is none.
rates AS (
    SELECT s.event_time, r.value AS overnight
    FROM (SELECT event_time, min(known_at) AS known_at FROM live GROUP BY event_time) s
    LEFT JOIN market.rates r ON $discounting = 'rates' AND r.metric = 'sofr' AND r.event_time <= s.event_time
                            AND r.known_at <= s.known_at
    QUALIFY row_number() OVER (PARTITION BY s.event_time ORDER BY r.event_time DESC, r.venue) = 1
),
rated AS (
    SELECT q.*, r.overnight, coalesce(continuous_rate(r.overnight, q.expiry_years), 0) AS rate
    FROM live q
    JOIN rates r ON r.event_time = q.event_time
),
chains AS (
    SELECT asset, event_time, expiry, expiry_years, overnight, rate, max(known_at) AS known_at,
           chain_forward(option_type, settlement, strike, bid, ask, underlying_price, exp(-rate * expiry_years)) AS chain,
           median(index_price) FILTER (WHERE index_price > 0) AS index_price
    FROM rated GROUP BY asset, event_time, expiry, expiry_years, overnight, rate
),
-- Futures as they stood at the snapshot and were known with it.
futures AS (
    SELECT e.*, f.instrument, year_fraction(e.event_time, coalesce(f.expiry, e.event_time)) AS future_years,
           f.expiry IS NOT DISTINCT FROM e.expiry AS same, f.instrument IS NOT NULL AND f.expiry IS NULL AS perpetual,
           CASE WHEN f.bid > 0 AND f.ask >= f.bid THEN (f.bid + f.ask) / 2 ELSE coalesce(f.last, f.mark) END AS price
    FROM chains e
    LEFT JOIN market.future_quotes f ON f.event_time <= e.event_time AND f.event_time > e.event_time - INTERVAL '5' MINUTE
                                    AND f.known_at <= e.known_at AND coalesce(f.expiry > e.event_time, true)
    QUALIFY row_number() OVER (PARTITION BY e.event_time, e.expiry, f.instrument ORDER BY f.event_time DESC) = 1
),
estimates AS (
    SELECT asset, event_time, expiry, known_at, expiry_years, overnight, rate, chain, index_price,
           median(price) FILTER (WHERE same) AS dated, forward_curve(future_years, price, expiry_years) AS curve,
           max(future_years) AS last_years, median(price) FILTER (WHERE perpetual AND price > 0) AS perpetual
    FROM futures
    GROUP BY asset, event_time, expiry, known_at, expiry_years, overnight, rate, chain, index_price
),
joined AS (
    SELECT *, chain['venue'] AS forward_venue, chain['parity'] AS forward_parity, chain['pairs'] AS parity_pairs,
           chain['line_forward'] AS parity_line_forward, chain['line_discount'] AS parity_line_discount,
           coalesce(dated, curve) AS forward_future,
           CASE WHEN dated IS NOT NULL THEN 'dated' WHEN curve IS NULL THEN NULL
                WHEN last_years >= expiry_years THEN 'interpolated' ELSE 'extrapolated' END AS future_source,
           coalesce(perpetual, index_price) AS spot,
           CASE WHEN perpetual IS NOT NULL THEN 'perpetual' WHEN index_price IS NOT NULL THEN 'index' END AS spot_source,
           CASE WHEN $discounting <> 'rates' THEN 'zero' WHEN overnight IS NULL THEN 'zero_no_rate' ELSE 'sofr' END AS rate_source
    FROM estimates
),
gaps AS (
    SELECT *, forward_parity / forward_venue - 1 AS parity_gap, forward_future / forward_venue - 1 AS future_gap,
           forward_parity / forward_future - 1 AS cross_gap
    FROM joined
),
sizes AS (
    SELECT *, 10000 * greatest(abs(parity_gap), abs(future_gap), abs(cross_gap)) AS disagreement_bps,
           10000 * greatest(abs(parity_gap), abs(future_gap)) AS dispute_bps,
           10000 * CASE WHEN future_source = 'dated' THEN least(abs(parity_gap), abs(future_gap)) END AS both_bps
    FROM gaps
),
-- Marks and volatilities of the venue stand on its own forward, so that one counts unless parity and a listed future,
-- which know nothing of each other, contradict it together.
judged AS (
    SELECT *,
           CASE WHEN forward_venue IS NULL THEN 'no_venue_price'
                WHEN dispute_bps IS NULL THEN 'unconfirmed'
                WHEN dispute_bps <= $forward_tolerance_bps THEN 'confirmed'
                WHEN both_bps > $forward_tolerance_bps AND abs(cross_gap) * 10000 <= $forward_tolerance_bps THEN 'venue_outvoted'
                ELSE 'disputed' END AS forward_reason
    FROM sizes
),
chosen AS (
    SELECT *,
           CASE WHEN forward_reason NOT IN ('no_venue_price', 'venue_outvoted') THEN 'venue'
                WHEN forward_parity IS NOT NULL THEN 'parity' ELSE 'future' END AS forward_source,
           CASE WHEN forward_reason NOT IN ('no_venue_price', 'venue_outvoted') THEN forward_venue
                ELSE coalesce(forward_parity, forward_future) END AS forward
    FROM judged
)
SELECT asset, event_time, known_at, expiry, expiry_years, forward, forward_parity, parity_pairs,
       10000 * parity_gap AS basis_bps, forward_source, forward_reason, forward_venue, forward_future, future_source,
       10000 * future_gap AS future_basis_bps, disagreement_bps, parity_line_forward, parity_line_discount,
       spot, spot_source, ln(forward / spot) / expiry_years AS basis_annual, rate, rate_source, exp(-rate * expiry_years) AS discount
FROM chosen
-- A condition on the choice itself would be pushed through every step above, which costs more than the query.
WHERE coalesce(forward_venue, forward_parity, forward_future) > 0
