-- Every quote of a snapshot once under each of its reasons, and once under the first of them, so that `first` adds up to all.
WITH judged AS (
    SELECT q.asset, q.event_time, q.expiry, greatest(q.known_at, g.known_at) AS known_at, q.quoted_at IS NULL AS ageless,
           CASE WHEN q.expiry <= q.event_time THEN 'expired' ELSE coalesce(g.exclusion, 'no_forward') END AS reasons
    FROM market.option_quotes q
    LEFT JOIN options.greeks g ON g.event_time = q.event_time AND g.instrument = q.instrument
),
each AS (
    SELECT *, unnest(string_to_array(reasons, '+')) AS reason FROM judged
)
SELECT asset, event_time, max(known_at) AS known_at, expiry, reason, count(*) AS quotes,
       count(*) FILTER (WHERE reason = split_part(reasons, '+', 1)) AS quotes_first,
       count(*) FILTER (WHERE ageless) AS age_unknown
FROM each
GROUP BY asset, event_time, expiry, reason
