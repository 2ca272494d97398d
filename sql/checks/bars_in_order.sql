-- Bars whose prices contradict each other.
SELECT asset, series, venue, width_s, event_time, open, high, low, close
FROM market.spot_bars
WHERE low <= 0 OR low > open OR low > close OR high < open OR high < close
