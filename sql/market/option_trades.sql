SELECT asset, event_time, known_at, known_at_basis, trade_id, instrument, expiry, strike, option_type, settlement, taker_side,
       contracts, price, mark, iv, index_price, document_id
FROM norm.option_trades
WHERE asset = $asset AND event_time >= $start AND event_time < $end
-- The first one known counts; among those known at the same time the latest document and its last arrival.
QUALIFY row_number() OVER (
    PARTITION BY event_time, trade_id ORDER BY known_at, document_time DESC, sequence DESC, document_id, dataset) = 1
