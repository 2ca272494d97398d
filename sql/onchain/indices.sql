-- Three mechanical indices from what was known at each decision day.
-- supply_elasticity: high when supply responds (coins leave long-term holders, reach exchanges, old coins move).
-- forced_flow: high when holders are forced to sell. liquidity_impulse: high when buying power arrives.
-- Components are z-scores over 30 decision days, of changes where levels trend for years, cut at +-4. Weights of the
-- components present are scaled to one; `coverage` is their share, and below $index_coverage_min an index is null.
WITH days AS (
    SELECT unnest(range(CAST($start AS DATE) - INTERVAL '200 days', CAST($end AS DATE), INTERVAL '1 day')) AS date
),
known AS (
    SELECT date, metric, venue, venue_rank, value, fresh FROM onchain.daily WHERE asset = $asset
),
venues AS (
    SELECT venue, min(venue_rank) AS venue_rank FROM known GROUP BY venue
),
wide AS (
    SELECT d.date, v.venue, v.venue_rank,
           max(k.value) FILTER (WHERE k.metric = 'lth_supply') AS lth,
           max(k.value) FILTER (WHERE k.metric = 'sth_supply') AS sth,
           max(k.value) FILTER (WHERE k.metric = 'exchange_balance') AS balance,
           max(k.value) FILTER (WHERE k.metric = 'dormancy') AS dormancy,
           max(k.value) FILTER (WHERE k.metric = 'exchange_inflow' AND k.fresh) AS inflow,
           max(k.value) FILTER (WHERE k.metric = 'exchange_outflow' AND k.fresh) AS outflow,
           max(k.value) FILTER (WHERE k.metric = 'miner_outflow' AND k.fresh) AS miner_outflow,
           max(k.value) FILTER (WHERE k.metric = 'sth_sopr') AS sth_sopr,
           max(k.value) FILTER (WHERE k.metric = 'market_cap_usd') AS cap,
           max(k.value) FILTER (WHERE k.metric = 'stablecoin_supply_usd') AS stable,
           max(k.value) FILTER (WHERE k.metric = 'stablecoin_exchange_netflow_usd' AND k.fresh) AS stable_netflow
    FROM days d
    CROSS JOIN venues v
    LEFT JOIN known k ON k.date = d.date AND k.venue = v.venue
    GROUP BY d.date, v.venue, v.venue_rank
),
-- Changes stay within a venue, so that going over to another one is no event.
by_venue AS (
    SELECT date, venue, venue_rank, dormancy, inflow, miner_outflow, sth_sopr, stable_netflow,
           lth / nullif(lag(lth, 30) OVER w, 0) - 1 AS lth_change_30d,
           balance / nullif(lag(balance, 7) OVER w, 0) - 1 AS balance_change_7d,
           -- Short-term supply that falls because its coins grow old is no selling: what long-term holders gain counts back.
           (sth - lag(sth, 7) OVER w + greatest(lth - lag(lth, 7) OVER w, 0.0)) / nullif(lag(sth, 7) OVER w, 0)
               AS sth_change_7d,
           -- Against the same weekday.
           inflow - outflow - lag(inflow - outflow, 7) OVER w AS netflow_change_7d,
           ln(cap / nullif(lag(cap, 7) OVER w, 0)) AS cap_growth_7d,
           ln(stable / nullif(lag(stable, 7) OVER w, 0)) AS stable_growth_7d
    FROM wide
    WINDOW w AS (PARTITION BY venue ORDER BY date)
),
-- Of each component the best venue that has it.
chosen AS (
    SELECT date,
           first_value(lth_change_30d ORDER BY venue_rank, venue) FILTER (WHERE lth_change_30d IS NOT NULL) AS lth_change_30d,
           first_value(balance_change_7d ORDER BY venue_rank, venue) FILTER (WHERE balance_change_7d IS NOT NULL) AS balance_change_7d,
           first_value(dormancy ORDER BY venue_rank, venue) FILTER (WHERE dormancy IS NOT NULL) AS dormancy,
           first_value(inflow ORDER BY venue_rank, venue) FILTER (WHERE inflow IS NOT NULL) AS inflow,
           first_value(sth_change_7d ORDER BY venue_rank, venue) FILTER (WHERE sth_change_7d IS NOT NULL) AS sth_change_7d,
           first_value(netflow_change_7d ORDER BY venue_rank, venue) FILTER (WHERE netflow_change_7d IS NOT NULL) AS netflow_change_7d,
           first_value(miner_outflow ORDER BY venue_rank, venue) FILTER (WHERE miner_outflow IS NOT NULL) AS miner_outflow,
           first_value(sth_sopr ORDER BY venue_rank, venue) FILTER (WHERE sth_sopr IS NOT NULL) AS sth_sopr,
           first_value(cap_growth_7d ORDER BY venue_rank, venue) FILTER (WHERE cap_growth_7d IS NOT NULL) AS cap_growth_7d,
           first_value(stable_growth_7d ORDER BY venue_rank, venue) FILTER (WHERE stable_growth_7d IS NOT NULL) AS stable_growth_7d,
           first_value(stable_netflow ORDER BY venue_rank, venue) FILTER (WHERE stable_netflow IS NOT NULL) AS stable_netflow
    FROM by_venue
    GROUP BY date
),
scored AS (
    SELECT date, sth_sopr,
           clip(zscore(lth_change_30d, 15) OVER w30, -4.0, 4.0) AS z_lth_change,
           clip(zscore(balance_change_7d, 15) OVER w30, -4.0, 4.0) AS z_balance_change,
           clip(zscore(dormancy, 15) OVER w30, -4.0, 4.0) AS z_dormancy,
           clip(zscore(inflow, 15) OVER w30, -4.0, 4.0) AS z_inflow,
           clip(zscore(sth_change_7d, 15) OVER w30, -4.0, 4.0) AS z_sth_change,
           clip(zscore(netflow_change_7d, 15) OVER w30, -4.0, 4.0) AS z_netflow_change,
           clip(zscore(miner_outflow, 15) OVER w30, -4.0, 4.0) AS z_miner_outflow,
           clip(zscore(sth_sopr, 15) OVER w30, -4.0, 4.0) AS z_sth_sopr,
           clip(zscore(stable_growth_7d, 15) OVER w30, -4.0, 4.0) AS z_stable_growth,
           -- Market value per stablecoin dollar; it rises with the price, so it counts with a minus.
           clip(zscore(cap_growth_7d - stable_growth_7d, 15) OVER w30, -4.0, 4.0) AS z_cap_to_stable,
           clip(zscore(stable_netflow, 15) OVER w30, -4.0, 4.0) AS z_stable_netflow
    FROM chosen
    WINDOW w30 AS (ORDER BY date ROWS BETWEEN 29 PRECEDING AND CURRENT ROW)
),
terms AS (
    SELECT *,
           -- Only a rise of inflows is a spike; selling at a loss counts while short-term holders do sell at a loss.
           CASE WHEN z_inflow > 2 THEN 1.0 WHEN z_inflow IS NOT NULL THEN 0.0 END AS inflow_spike,
           CASE WHEN z_sth_sopr IS NULL THEN NULL WHEN sth_sopr < 1 THEN greatest(-z_sth_sopr, 0.0) ELSE 0.0 END AS loss_selling
    FROM scored
),
weighed AS (
    SELECT *,
           CASE WHEN z_lth_change IS NULL THEN 0.0 ELSE 0.4 END + CASE WHEN z_balance_change IS NULL THEN 0.0 ELSE 0.3 END
               + CASE WHEN z_dormancy IS NULL THEN 0.0 ELSE 0.3 END AS weight_se,
           CASE WHEN inflow_spike IS NULL THEN 0.0 ELSE 0.35 END + CASE WHEN z_sth_change IS NULL THEN 0.0 ELSE 0.25 END
               + CASE WHEN z_netflow_change IS NULL THEN 0.0 ELSE 0.2 END + CASE WHEN z_miner_outflow IS NULL THEN 0.0 ELSE 0.2 END
               + CASE WHEN loss_selling IS NULL THEN 0.0 ELSE 0.2 END AS weight_ff,
           CASE WHEN z_stable_growth IS NULL THEN 0.0 ELSE 0.4 END + CASE WHEN z_cap_to_stable IS NULL THEN 0.0 ELSE 0.2 END
               + CASE WHEN z_stable_netflow IS NULL THEN 0.0 ELSE 0.4 END AS weight_li,
           coalesce(-0.4 * z_lth_change, 0.0) + coalesce(0.3 * z_balance_change, 0.0) + coalesce(0.3 * z_dormancy, 0.0) AS sum_se,
           coalesce(0.35 * inflow_spike, 0.0) + coalesce(-0.25 * z_sth_change, 0.0) + coalesce(0.2 * z_netflow_change, 0.0)
               + coalesce(0.2 * z_miner_outflow, 0.0) + coalesce(0.2 * loss_selling, 0.0) AS sum_ff,
           coalesce(0.4 * z_stable_growth, 0.0) + coalesce(-0.2 * z_cap_to_stable, 0.0)
               + coalesce(0.4 * z_stable_netflow, 0.0) AS sum_li
    FROM terms
),
covered AS (
    SELECT *, weight_se / 1.0 AS coverage_se, weight_ff / 1.2 AS coverage_ff, weight_li / 1.0 AS coverage_li
    FROM weighed
),
raw AS (
    -- The small allowance is for sums such as 0.4 + 0.2.
    SELECT *,
           CASE WHEN weight_se > 0 AND coverage_se >= $index_coverage_min - 0.000001 THEN sum_se / weight_se END AS raw_se,
           CASE WHEN weight_ff > 0 AND coverage_ff >= $index_coverage_min - 0.000001 THEN sum_ff / weight_ff END AS raw_ff,
           CASE WHEN weight_li > 0 AND coverage_li >= $index_coverage_min - 0.000001 THEN sum_li / weight_li END AS raw_li
    FROM covered
),
smoothed AS (
    -- Fifteen scores stand on thirty days of a component.
    SELECT *,
           CASE WHEN raw_se IS NOT NULL AND count(raw_se) OVER w60 >= 15 THEN ema(raw_se, 0.3) OVER w60 END AS supply_elasticity,
           CASE WHEN raw_ff IS NOT NULL AND count(raw_ff) OVER w60 >= 15 THEN ema(raw_ff, 0.3) OVER w60 END AS forced_flow,
           CASE WHEN raw_li IS NOT NULL AND count(raw_li) OVER w60 >= 15 THEN ema(raw_li, 0.3) OVER w60 END AS liquidity_impulse
    FROM raw
    WINDOW w60 AS (ORDER BY date ROWS BETWEEN 59 PRECEDING AND CURRENT ROW)
),
indices AS (
    SELECT *,
           zscore(supply_elasticity, 15) OVER w30 AS z_supply_elasticity,
           zscore(forced_flow, 15) OVER w30 AS z_forced_flow,
           zscore(liquidity_impulse, 15) OVER w30 AS z_liquidity_impulse
    FROM smoothed
    WINDOW w30 AS (ORDER BY date ROWS BETWEEN 29 PRECEDING AND CURRENT ROW)
)
SELECT $asset AS asset, date, arrow_cast(date, 'Timestamp(Microsecond, Some("UTC"))') AS known_at,
       supply_elasticity, forced_flow, liquidity_impulse,
       (coverage_se + coverage_ff + coverage_li) / 3.0 AS coverage,
       coverage_se AS coverage_supply_elasticity, coverage_ff AS coverage_forced_flow,
       coverage_li AS coverage_liquidity_impulse,
       z_supply_elasticity, z_forced_flow, z_liquidity_impulse,
       z_lth_change, z_balance_change, z_dormancy, z_inflow, inflow_spike, z_sth_change, z_netflow_change,
       z_miner_outflow, loss_selling, z_stable_growth, z_cap_to_stable, z_stable_netflow,
       nullif(concat_ws('; ',
           CASE WHEN supply_elasticity IS NULL THEN concat('supply_elasticity: ', CASE WHEN raw_se IS NULL THEN concat('missing ',
               concat_ws(', ', CASE WHEN z_lth_change IS NULL THEN 'lth_supply' END,
                         CASE WHEN z_balance_change IS NULL THEN 'exchange_balance' END,
                         CASE WHEN z_dormancy IS NULL THEN 'dormancy' END)) ELSE 'warm-up' END) END,
           CASE WHEN forced_flow IS NULL THEN concat('forced_flow: ', CASE WHEN raw_ff IS NULL THEN concat('missing ',
               concat_ws(', ', CASE WHEN z_inflow IS NULL THEN 'exchange_inflow' END,
                         CASE WHEN z_sth_change IS NULL THEN 'sth_supply' END,
                         CASE WHEN z_netflow_change IS NULL THEN 'exchange_outflow' END,
                         CASE WHEN z_miner_outflow IS NULL THEN 'miner_outflow' END,
                         CASE WHEN z_sth_sopr IS NULL THEN 'sth_sopr' END)) ELSE 'warm-up' END) END,
           CASE WHEN liquidity_impulse IS NULL THEN concat('liquidity_impulse: ', CASE WHEN raw_li IS NULL THEN concat('missing ',
               concat_ws(', ', CASE WHEN z_stable_growth IS NULL THEN 'stablecoin_supply_usd' END,
                         CASE WHEN z_cap_to_stable IS NULL THEN 'market_cap_usd' END,
                         CASE WHEN z_stable_netflow IS NULL THEN 'stablecoin_exchange_netflow_usd' END)) ELSE 'warm-up' END) END
       ), '') AS reason
FROM indices
-- A day on which no series at all is fresh has no row.
WHERE date >= CAST($start AS DATE) AND date IN (SELECT date FROM known)
