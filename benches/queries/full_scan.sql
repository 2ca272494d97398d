-- Every number of the largest table once.
SELECT count(*) AS rows, sum(strike) AS strike, sum(expiry_years) AS years, sum(forward) AS forward,
       sum(log_moneyness) AS k, sum(iv) AS iv, sum(bid_iv) AS bid_iv, sum(ask_iv) AS ask_iv, sum(price_usd) AS price,
       sum(delta) AS delta, sum(gamma) AS gamma, sum(vega) AS vega, sum(theta) AS theta, sum(rho) AS rho,
       sum(vanna) AS vanna, sum(volga) AS volga, sum(charm) AS charm, sum(open_interest) AS open_interest,
       min(event_time) AS first, max(event_time) AS last
FROM options.greeks
