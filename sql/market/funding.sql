SELECT asset, venue, metric, event_time, known_at, known_at_basis, value, unit, document_id
FROM norm.funding
WHERE asset = $asset AND event_time >= $start AND event_time < $end AND value IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY venue, metric, event_time ORDER BY sequence DESC, document_time DESC, document_id) = 1
