SELECT asset, width_s, event_time, known_at, known_at_basis, open, high, low, close, document_id
FROM norm.dvol
WHERE asset = $asset AND event_time >= $start AND event_time < $end
-- Two recordings of the same index agree on 99 % of days. The first one known counts, as a reader had it then; among those
-- known at the same time the latest document and its last arrival.
QUALIFY row_number() OVER (
    PARTITION BY width_s, event_time ORDER BY known_at, document_time DESC, sequence DESC, document_id, dataset) = 1
