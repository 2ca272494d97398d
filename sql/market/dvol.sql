SELECT asset, width_s, event_time, known_at, known_at_basis, open, high, low, close, document_id
FROM norm.dvol
WHERE asset = $asset AND event_time >= $start AND event_time < $end
-- Two recordings of the same index agree on 99 % of days; the first one known is kept, as a reader had it then.
QUALIFY row_number() OVER (
    PARTITION BY width_s, event_time ORDER BY known_at, sequence DESC, document_time, document_id) = 1
