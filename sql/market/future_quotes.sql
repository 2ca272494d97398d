SELECT asset, event_time, known_at, known_at_basis, instrument, expiry, bid, ask, mark, last, open_interest, volume,
       index_price, document_id
FROM norm.future_quotes
WHERE asset = $asset AND event_time >= $start AND event_time < $end
-- The first one known counts; among those known at the same time the latest document and its last arrival.
QUALIFY row_number() OVER (
    PARTITION BY event_time, instrument ORDER BY known_at, document_time DESC, sequence DESC, document_id, dataset) = 1
