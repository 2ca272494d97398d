-- A correction replaces what an earlier document said of the same instrument and time: the last arrival wins,
-- the losers stay readable in `norm.*`.
SELECT asset, event_time, known_at, known_at_basis, instrument, expiry, strike, option_type, settlement,
       bid, ask, mark, underlying_price, mark_iv, open_interest, volume, index_price, exchange_delta, exchange_vega,
       document_id
FROM norm.option_quotes
WHERE asset = $asset AND event_time >= $start AND event_time < $end
QUALIFY row_number() OVER (
    PARTITION BY event_time, instrument ORDER BY sequence DESC, document_time DESC, document_id) = 1
