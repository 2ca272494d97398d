-- Balances held by address size. mega = 100 to 10,000 coins, small = 1 to 100 coins. A move counts when it is unusual for
-- the last 90 decision days. Overlapping horizons repeat each other: the counts are no independent votes.
WITH days AS (
    SELECT unnest(range(CAST($start AS DATE) - INTERVAL '200 days', CAST($end AS DATE), INTERVAL '1 day')) AS date
),
known AS (
    SELECT date, metric, venue, venue_rank, value
    FROM onchain.daily
    WHERE asset = $asset AND metric IN ('holders_1_10', 'holders_10_100', 'holders_100_1k', 'holders_1k_10k')
),
venues AS (
    SELECT venue, min(venue_rank) AS venue_rank FROM known GROUP BY venue
),
balances AS (
    SELECT d.date, v.venue, v.venue_rank,
           max(k.value) FILTER (WHERE k.metric = 'holders_100_1k')
               + max(k.value) FILTER (WHERE k.metric = 'holders_1k_10k') AS mega,
           max(k.value) FILTER (WHERE k.metric = 'holders_1_10')
               + max(k.value) FILTER (WHERE k.metric = 'holders_10_100') AS small
    FROM days d
    CROSS JOIN venues v
    LEFT JOIN known k ON k.date = d.date AND k.venue = v.venue
    GROUP BY d.date, v.venue, v.venue_rank
),
deltas AS (
    SELECT *,
           mega - lag(mega, 1) OVER w AS mega_delta_1, mega - lag(mega, 2) OVER w AS mega_delta_2,
           mega - lag(mega, 4) OVER w AS mega_delta_4, mega - lag(mega, 7) OVER w AS mega_delta_7,
           small - lag(small, 1) OVER w AS small_delta_1, small - lag(small, 2) OVER w AS small_delta_2,
           small - lag(small, 4) OVER w AS small_delta_4, small - lag(small, 7) OVER w AS small_delta_7,
           mega - lag(mega, 14) OVER w AS mega_delta_14
    FROM balances
    WINDOW w AS (PARTITION BY venue ORDER BY date)
),
scored AS (
    SELECT *,
           zscore(mega_delta_1, 30) OVER w90 AS mega_z_1, zscore(mega_delta_2, 30) OVER w90 AS mega_z_2,
           zscore(mega_delta_4, 30) OVER w90 AS mega_z_4, zscore(mega_delta_7, 30) OVER w90 AS mega_z_7,
           zscore(small_delta_1, 30) OVER w90 AS small_z_1, zscore(small_delta_2, 30) OVER w90 AS small_z_2,
           zscore(small_delta_4, 30) OVER w90 AS small_z_4, zscore(small_delta_7, 30) OVER w90 AS small_z_7,
           zscore(mega_delta_14, 30) OVER w90 AS mega_z_14
    FROM deltas
    WINDOW w90 AS (PARTITION BY venue ORDER BY date ROWS BETWEEN 89 PRECEDING AND CURRENT ROW)
),
bucketed AS (
    SELECT *,
           CASE WHEN mega_z_1 IS NULL THEN NULL WHEN mega_z_1 > 0.8 THEN 1 WHEN mega_z_1 < -0.8 THEN -1 ELSE 0 END AS mega_b_1,
           CASE WHEN mega_z_2 IS NULL THEN NULL WHEN mega_z_2 > 0.8 THEN 1 WHEN mega_z_2 < -0.8 THEN -1 ELSE 0 END AS mega_b_2,
           CASE WHEN mega_z_4 IS NULL THEN NULL WHEN mega_z_4 > 1.0 THEN 1 WHEN mega_z_4 < -1.0 THEN -1 ELSE 0 END AS mega_b_4,
           CASE WHEN mega_z_7 IS NULL THEN NULL WHEN mega_z_7 > 1.0 THEN 1 WHEN mega_z_7 < -1.0 THEN -1 ELSE 0 END AS mega_b_7,
           CASE WHEN small_z_1 IS NULL THEN NULL WHEN small_z_1 > 0.8 THEN 1 WHEN small_z_1 < -0.8 THEN -1 ELSE 0 END AS small_b_1,
           CASE WHEN small_z_2 IS NULL THEN NULL WHEN small_z_2 > 0.8 THEN 1 WHEN small_z_2 < -0.8 THEN -1 ELSE 0 END AS small_b_2,
           CASE WHEN small_z_4 IS NULL THEN NULL WHEN small_z_4 > 1.0 THEN 1 WHEN small_z_4 < -1.0 THEN -1 ELSE 0 END AS small_b_4,
           CASE WHEN small_z_7 IS NULL THEN NULL WHEN small_z_7 > 1.0 THEN 1 WHEN small_z_7 < -1.0 THEN -1 ELSE 0 END AS small_b_7,
           CASE WHEN mega_z_14 IS NULL THEN NULL WHEN mega_z_14 > 1.2 THEN 1 WHEN mega_z_14 < -1.2 THEN -1 ELSE 0 END AS mega_b_14
    FROM scored
),
counted AS (
    SELECT *,
           CASE WHEN mega_b_1 = 1 THEN 1 ELSE 0 END + CASE WHEN mega_b_2 = 1 THEN 1 ELSE 0 END + CASE WHEN mega_b_4 = 1 THEN 1 ELSE 0 END
               + CASE WHEN mega_b_7 = 1 THEN 1 ELSE 0 END + 0 * (mega_b_1 + mega_b_2 + mega_b_4 + mega_b_7) AS mega_accum,
           CASE WHEN mega_b_1 = -1 THEN 1 ELSE 0 END + CASE WHEN mega_b_2 = -1 THEN 1 ELSE 0 END + CASE WHEN mega_b_4 = -1 THEN 1 ELSE 0 END
               + CASE WHEN mega_b_7 = -1 THEN 1 ELSE 0 END + 0 * (mega_b_1 + mega_b_2 + mega_b_4 + mega_b_7) AS mega_distrib,
           CASE WHEN small_b_1 = 1 THEN 1 ELSE 0 END + CASE WHEN small_b_2 = 1 THEN 1 ELSE 0 END + CASE WHEN small_b_4 = 1 THEN 1 ELSE 0 END
               + CASE WHEN small_b_7 = 1 THEN 1 ELSE 0 END + 0 * (small_b_1 + small_b_2 + small_b_4 + small_b_7) AS small_accum,
           CASE WHEN small_b_1 = -1 THEN 1 ELSE 0 END + CASE WHEN small_b_2 = -1 THEN 1 ELSE 0 END + CASE WHEN small_b_4 = -1 THEN 1 ELSE 0 END
               + CASE WHEN small_b_7 = -1 THEN 1 ELSE 0 END + 0 * (small_b_1 + small_b_2 + small_b_4 + small_b_7) AS small_distrib
    FROM bucketed
),
flagged AS (
    SELECT *,
           mega_accum >= 2 AND mega_distrib = 0 AS mega_any_accum, mega_distrib >= 2 AND mega_accum = 0 AS mega_any_distrib,
           mega_accum >= 3 AND mega_distrib = 0 AS mega_strong_accum, mega_distrib >= 3 AND mega_accum = 0 AS mega_strong_distrib,
           mega_accum > 0 AND mega_distrib > 0 AS mega_conflict,
           small_accum >= 2 AND small_distrib = 0 AS small_any_accum, small_distrib >= 2 AND small_accum = 0 AS small_any_distrib,
           small_accum >= 3 AND small_distrib = 0 AS small_strong_accum, small_distrib >= 3 AND small_accum = 0 AS small_strong_distrib,
           small_accum > 0 AND small_distrib > 0 AS small_conflict
    FROM counted
),
-- Small holders that buy while large ones do not: fragile, or a trap if the sized balances together fall.
rallies AS (
    SELECT *, small_any_accum AND NOT mega_any_accum AS retail_rally,
           small_any_accum AND NOT mega_any_accum AND mega_delta_7 + small_delta_7 < 0 AS retail_trap
    FROM flagged
),
-- A venue without a value on a day is no candidate: else one that begins later could already be preferred.
best AS (
    SELECT * FROM rallies
    WHERE date >= CAST($start AS DATE) AND (mega IS NOT NULL OR small IS NOT NULL)
    QUALIFY row_number() OVER (PARTITION BY date ORDER BY mega IS NULL OR small IS NULL, venue_rank, venue) = 1
),
present AS (
    SELECT DISTINCT date FROM onchain.daily WHERE asset = $asset AND date >= CAST($start AS DATE)
)
SELECT $asset AS asset, p.date, arrow_cast(p.date, 'Timestamp(Microsecond, Some("UTC"))') AS known_at,
       mega AS whale_mega_balance, small AS whale_small_balance,
       mega_delta_1 AS whale_mega_delta_1, mega_delta_2 AS whale_mega_delta_2, mega_delta_4 AS whale_mega_delta_4, mega_delta_7 AS whale_mega_delta_7,
       small_delta_1 AS whale_small_delta_1, small_delta_2 AS whale_small_delta_2, small_delta_4 AS whale_small_delta_4, small_delta_7 AS whale_small_delta_7,
       mega_delta_14 AS whale_mega_delta_14,
       mega_z_1 AS whale_mega_z_1, mega_z_2 AS whale_mega_z_2, mega_z_4 AS whale_mega_z_4, mega_z_7 AS whale_mega_z_7,
       small_z_1 AS whale_small_z_1, small_z_2 AS whale_small_z_2, small_z_4 AS whale_small_z_4, small_z_7 AS whale_small_z_7,
       mega_z_14 AS whale_mega_z_14,
       CAST(mega_b_1 AS BIGINT) AS whale_mega_bucket_1,
       CAST(mega_b_2 AS BIGINT) AS whale_mega_bucket_2,
       CAST(mega_b_4 AS BIGINT) AS whale_mega_bucket_4,
       CAST(mega_b_7 AS BIGINT) AS whale_mega_bucket_7,
       CAST(small_b_1 AS BIGINT) AS whale_small_bucket_1,
       CAST(small_b_2 AS BIGINT) AS whale_small_bucket_2,
       CAST(small_b_4 AS BIGINT) AS whale_small_bucket_4,
       CAST(small_b_7 AS BIGINT) AS whale_small_bucket_7,
       CAST(mega_b_14 AS BIGINT) AS whale_mega_bucket_14,
       CAST(mega_accum AS BIGINT) AS whale_mega_accum_count, CAST(mega_distrib AS BIGINT) AS whale_mega_distrib_count,
       CAST(small_accum AS BIGINT) AS whale_small_accum_count, CAST(small_distrib AS BIGINT) AS whale_small_distrib_count,
       mega_any_accum AS whale_mega_any_accum, mega_any_distrib AS whale_mega_any_distrib, mega_strong_accum AS whale_mega_strong_accum,
       mega_strong_distrib AS whale_mega_strong_distrib, mega_conflict AS whale_mega_conflict,
       NOT mega_any_accum AND NOT mega_any_distrib AS whale_mega_mixed,
       small_any_accum AS whale_small_any_accum, small_any_distrib AS whale_small_any_distrib, small_strong_accum AS whale_small_strong_accum,
       small_strong_distrib AS whale_small_strong_distrib, small_conflict AS whale_small_conflict,
       NOT small_any_accum AND NOT small_any_distrib AS whale_small_mixed,
       mega_any_accum AND small_any_accum AS whale_broad_accum, mega_any_accum AND NOT small_any_accum AS whale_strategic_accum,
       mega_any_accum AND NOT small_any_accum AND NOT small_any_distrib AS whale_strategic_clean,
       mega_any_accum AND small_any_distrib AS whale_strategic_divergent,
       mega_any_distrib AS whale_distribution, mega_strong_distrib AS whale_strong_distribution,
       retail_rally AS whale_retail_rally, retail_trap AS whale_retail_trap,
       mega_b_14 = 1 AND mega_any_accum AS whale_campaign_accum, mega_b_14 = -1 AND mega_any_distrib AS whale_campaign_distrib,
       CASE WHEN mega_accum IS NULL OR small_accum IS NULL THEN NULL
            WHEN mega_any_accum AND small_any_accum THEN 'broad_accum'
            WHEN mega_any_accum THEN 'strategic_accum'
            WHEN mega_strong_distrib THEN 'strong_distribution'
            WHEN mega_any_distrib THEN 'distribution'
            WHEN retail_trap THEN 'retail_trap'
            WHEN retail_rally THEN 'retail_rally'
            WHEN small_any_distrib THEN 'neutral'
            ELSE 'mixed' END AS whale_regime,
       coalesce(mega_accum IS NOT NULL AND small_accum IS NOT NULL, false) AS whale_ready,
       CASE WHEN mega IS NULL OR small IS NULL THEN 'missing: holder balances'
            WHEN mega_accum IS NULL OR small_accum IS NULL THEN 'warm-up: holder balances' END AS whale_reason
FROM present p
LEFT JOIN best b ON b.date = p.date
