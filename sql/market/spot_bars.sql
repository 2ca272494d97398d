SELECT asset, series, venue, width_s, event_time, known_at, known_at_basis, open, high, low, close, volume, document_id
FROM norm.spot_bars
WHERE asset = $asset AND event_time >= $start AND event_time < $end
QUALIFY row_number() OVER (
    PARTITION BY series, venue, width_s, event_time
    ORDER BY sequence DESC, document_time DESC, document_id) = 1
