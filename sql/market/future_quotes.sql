SELECT asset, event_time, known_at, known_at_basis, instrument, expiry, bid, ask, mark, last, open_interest, volume,
       index_price, document_id
FROM norm.future_quotes
WHERE asset = $asset AND event_time >= $start AND event_time < $end
QUALIFY row_number() OVER (
    PARTITION BY event_time, instrument ORDER BY sequence DESC, document_time DESC, document_id) = 1
