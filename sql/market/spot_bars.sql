SELECT asset, series, venue, width_s, event_time, known_at, known_at_basis, open, high, low, close, volume, document_id
FROM norm.spot_bars
WHERE asset = $asset AND event_time >= $start AND event_time < $end
-- The first one known counts; among those known at the same time the latest document and its last arrival.
QUALIFY row_number() OVER (
    PARTITION BY series, venue, width_s, event_time
    ORDER BY known_at, document_time DESC, sequence DESC, document_id, dataset) = 1
