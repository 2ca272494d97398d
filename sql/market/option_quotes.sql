-- Where several documents tell of the same instrument and time, the first one known counts, as a reader had it then; among
-- those known at the same time (a correction) the latest document and in it the last arrival. The losers stay readable
-- in `norm.*`, as does what only some venues publish (their own delta and vega).
SELECT asset, event_time, known_at, known_at_basis, instrument, expiry, strike, option_type, settlement,
       bid, ask, mark, underlying_price, mark_iv, open_interest, volume, index_price, document_id,
       vendor_time AS quoted_at
FROM norm.option_quotes
WHERE asset = $asset AND event_time >= $start AND event_time < $end
QUALIFY row_number() OVER (
    PARTITION BY event_time, instrument ORDER BY known_at, document_time DESC, sequence DESC, document_id, dataset) = 1
