SELECT asset, venue, metric, event_time, known_at, known_at_basis, value, unit, document_id
FROM norm.funding
WHERE asset = $asset AND event_time >= $start AND event_time < $end AND value IS NOT NULL
-- The first one known counts; among those known at the same time the latest document and its last arrival.
QUALIFY row_number() OVER (
    PARTITION BY venue, metric, event_time ORDER BY known_at, document_time DESC, sequence DESC, document_id, dataset) = 1
