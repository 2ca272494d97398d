-- Up to three forwards of every expiry: the venue's underlying price (its future or synthetic forward; rows of one expiry can
-- differ by cents, so their median), put-call parity of two-sided quotes (C - P = 1 - K/F in coin, C - P = F - K in USD), and
-- the dated future, or the curve through the perpetual and the futures where none is listed.
WITH live AS (
    SELECT * FROM market.option_quotes WHERE expiry > event_time
),
pairs AS (
    SELECT c.event_time, c.expiry, c.settlement, c.strike, (c.bid + c.ask) / 2 AS call, (p.bid + p.ask) / 2 AS put
    FROM live c
    JOIN live p ON p.event_time = c.event_time AND p.expiry = c.expiry AND p.strike = c.strike
               AND p.settlement = c.settlement AND p.option_type = 'put'
    WHERE c.option_type = 'call' AND c.bid > 0 AND c.ask > 0 AND p.bid > 0 AND p.ask > 0
      -- Wide quotes say nothing of parity, and near the money the spread matters least.
      AND c.ask - c.bid <= 0.25 * (c.ask + c.bid) / 2 AND p.ask - p.bid <= 0.25 * (p.ask + p.bid) / 2
      AND coalesce(abs(ln(c.strike / c.underlying_price)) < 0.15, true)
),
-- The line through all pairs has the discount factor in its slope, which the median takes to be one.
fitted AS (
    SELECT event_time, expiry, CASE WHEN count(implied_forward) >= 3 THEN median(implied_forward) END AS forward_parity,
           count(implied_forward) AS parity_pairs,
           CASE WHEN count(*) FILTER (WHERE settlement = 'inverse') >= 3
                THEN parity_forward_coin(strike, call, put) FILTER (WHERE settlement = 'inverse')
                WHEN count(*) FILTER (WHERE settlement = 'linear') >= 3
                THEN parity_forward(strike, call, put) FILTER (WHERE settlement = 'linear') END AS line
    FROM (SELECT *, CASE WHEN settlement = 'inverse' THEN strike / nullif(1 - (call - put), 0)
                         ELSE strike + call - put END AS implied_forward
          FROM pairs)
    GROUP BY event_time, expiry
),
parity AS (
    SELECT event_time, expiry, forward_parity, parity_pairs, line['forward'] AS parity_line_forward,
           line['discount'] AS parity_line_discount
    FROM fitted
),
expiries AS (
    SELECT asset, event_time, expiry, max(known_at) AS known_at, year_fraction(event_time, expiry) AS expiry_years,
           median(underlying_price) FILTER (WHERE underlying_price > 0) AS forward_venue,
           median(index_price) FILTER (WHERE index_price > 0) AS index_price
    FROM live GROUP BY asset, event_time, expiry
),
-- The newest overnight rate known with the snapshot; crypto venues quote undiscounted, so the default is none.
rated AS (
    SELECT e.asset, e.event_time, e.expiry, e.known_at, e.expiry_years, e.forward_venue, e.index_price, r.value AS overnight
    FROM expiries e
    LEFT JOIN market.rates r ON $discounting = 'rates' AND r.metric = 'sofr' AND r.event_time <= e.event_time
                            AND r.known_at <= e.known_at
    QUALIFY row_number() OVER (PARTITION BY e.event_time, e.expiry ORDER BY r.event_time DESC, r.venue) = 1
),
-- Futures as they stood at the snapshot and were known with it.
futures AS (
    SELECT e.*, f.instrument, year_fraction(e.event_time, coalesce(f.expiry, e.event_time)) AS future_years,
           f.expiry IS NOT DISTINCT FROM e.expiry AS same, f.instrument IS NOT NULL AND f.expiry IS NULL AS perpetual,
           CASE WHEN f.bid > 0 AND f.ask >= f.bid THEN (f.bid + f.ask) / 2 ELSE coalesce(f.last, f.mark) END AS price
    FROM rated e
    LEFT JOIN market.future_quotes f ON f.event_time <= e.event_time AND f.event_time > e.event_time - INTERVAL '5' MINUTE
                                    AND f.known_at <= e.known_at AND coalesce(f.expiry > e.event_time, true)
    QUALIFY row_number() OVER (PARTITION BY e.event_time, e.expiry, f.instrument ORDER BY f.event_time DESC) = 1
),
estimates AS (
    SELECT f.asset, f.event_time, f.expiry, f.known_at, f.expiry_years, f.forward_venue, f.overnight,
           median(f.price) FILTER (WHERE f.same) AS dated,
           forward_curve(f.future_years, f.price, f.expiry_years) AS curve, max(f.future_years) AS last_years,
           median(f.price) FILTER (WHERE f.perpetual AND f.price > 0) AS perpetual, max(f.index_price) AS index_price
    FROM futures f
    GROUP BY f.asset, f.event_time, f.expiry, f.known_at, f.expiry_years, f.forward_venue, f.overnight
),
joined AS (
    SELECT e.*, p.forward_parity, CAST(coalesce(p.parity_pairs, 0) AS BIGINT) AS parity_pairs, p.parity_line_forward,
           p.parity_line_discount, coalesce(e.dated, e.curve) AS forward_future,
           CASE WHEN e.dated IS NOT NULL THEN 'dated' WHEN e.curve IS NULL THEN NULL
                WHEN e.last_years >= e.expiry_years THEN 'interpolated' ELSE 'extrapolated' END AS future_source,
           coalesce(e.perpetual, e.index_price) AS spot,
           CASE WHEN e.perpetual IS NOT NULL THEN 'perpetual' WHEN e.index_price IS NOT NULL THEN 'index' END AS spot_source,
           coalesce(continuous_rate(e.overnight, e.expiry_years), 0) AS rate,
           CASE WHEN $discounting <> 'rates' THEN 'zero' WHEN e.overnight IS NULL THEN 'zero_no_rate' ELSE 'sofr' END AS rate_source
    FROM estimates e
    LEFT JOIN parity p ON p.event_time = e.event_time AND p.expiry = e.expiry
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
