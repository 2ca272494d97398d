//! Quotes and fits of every expiry.

use anyhow::Result;
use lakectl_core::UtcTime;
use lakectl_plot::pictures::{Fitted, Quote, Smile, smile};
use lakectl_plot::{Sheet, long_day};

use super::asked::Asked;

const SLICES: &str = "
SELECT *, expiry_years * 365 AS days FROM options.slices WHERE asset = $asset AND event_time = $at ORDER BY expiry";

const QUOTES: &str = "
SELECT q.expiry, q.log_moneyness, CASE WHEN q.option_type = 'call' THEN 1 ELSE 0 END AS is_call,
       CASE WHEN q.two_sided THEN q.bid_iv END AS bid_iv, q.ask_iv, q.iv,
       CASE WHEN svi_total_variance(s.a, s.b, s.rho, s.m, s.sigma, q.log_moneyness) > 0
            THEN sqrt(greatest(svi_total_variance(s.a, s.b, s.rho, s.m, s.sigma, q.log_moneyness) / s.expiry_years, 0.0)) END
           AS fit_iv
FROM options.greeks q
JOIN options.slices s ON s.asset = q.asset AND s.event_time = q.event_time AND s.expiry = q.expiry
WHERE q.asset = $asset AND q.event_time = $at AND s.asset = $asset AND s.event_time = $at AND q.out_of_the_money
ORDER BY q.expiry, q.log_moneyness, q.instrument";

/// Each fit at 161 places over its quotes, in even steps of moneyness.
const FITS: &str = "
WITH quoted AS (
    SELECT expiry, min(log_moneyness) AS low, max(log_moneyness) AS high
    FROM options.greeks
    WHERE asset = $asset AND event_time = $at AND out_of_the_money AND two_sided GROUP BY expiry
),
places AS (
    SELECT s.*, q.low + (q.high - q.low) * (i * 1.1 / 160 - 0.05) AS k
    FROM options.slices s JOIN quoted q ON q.expiry = s.expiry
    CROSS JOIN (SELECT unnest(range(0, 161)) AS i) steps
    WHERE s.asset = $asset AND s.event_time = $at AND s.a IS NOT NULL
)
SELECT expiry, k, sqrt(greatest(svi_total_variance(a, b, rho, m, sigma, k) / expiry_years, 0.0)) AS iv,
       svi_g(a, b, rho, m, sigma, k) AS g
FROM places WHERE svi_total_variance(a, b, rho, m, sigma, k) > 0 ORDER BY expiry, k";

pub(super) fn sheet(asked: &mut Asked<'_>) -> Result<Sheet> {
    let slices = asked.rows(&["options.slices"], SLICES)?;
    let expiries = slices.times("expiry")?;
    let wanted = asked.wanted(&expiries)?;
    let mut quotes = quotes(asked)?;
    let mut fits = fits(asked)?;
    let (days, forwards) = (slices.all_numbers("days")?, slices.all_numbers("forward")?);
    let (rmse, g_min) = (slices.numbers("rmse_vol")?, slices.numbers("g_min")?);
    let statuses = slices.texts("status")?;
    let (lows, highs) = (
        slices.numbers_if_any("k_min")?,
        slices.numbers_if_any("k_max")?,
    );
    let g_fitted = slices.numbers_if_any("g_min_fitted")?;
    let mut drawn = Vec::new();
    for (i, expiry) in expiries
        .iter()
        .enumerate()
        .filter(|(_, expiry)| wanted.contains(expiry))
    {
        drawn.push(Smile {
            expiry: long_day(expiry.day()),
            days: days[i],
            forward: forwards[i],
            quotes: take(&mut quotes, expiry),
            fit: take(&mut fits, expiry),
            rmse_vol: rmse[i],
            fitted_range: lows[i].zip(highs[i]),
            g_min: g_fitted[i].or(g_min[i]),
            status: statuses[i].clone(),
        });
    }
    Ok(smile(&asked.about(), &drawn)?)
}

/// The rows of one expiry.
fn take<T>(rows: &mut Vec<(UtcTime, T)>, expiry: &UtcTime) -> Vec<T> {
    let found = rows.extract_if(.., |(other, _)| other == expiry);
    found.map(|(_, row)| row).collect()
}

fn quotes(asked: &mut Asked<'_>) -> Result<Vec<(UtcTime, Quote)>> {
    let rows = asked.rows(&["options.greeks", "options.slices"], QUOTES)?;
    let (expiries, places) = (rows.times("expiry")?, rows.all_numbers("log_moneyness")?);
    let (calls, marks, fits) = (
        rows.all_numbers("is_call")?,
        rows.numbers("iv")?,
        rows.numbers("fit_iv")?,
    );
    let (bids, asks) = (rows.numbers("bid_iv")?, rows.numbers("ask_iv")?);
    let quote = |i: usize| Quote {
        log_moneyness: places[i],
        call: calls[i] > 0.0,
        bid: bids[i],
        ask: asks[i],
        mark: marks[i],
        fit: fits[i],
    };
    Ok((0..rows.rows()).map(|i| (expiries[i], quote(i))).collect())
}

fn fits(asked: &mut Asked<'_>) -> Result<Vec<(UtcTime, Fitted)>> {
    let rows = asked.rows(&["options.greeks", "options.slices"], FITS)?;
    let (expiries, places) = (rows.times("expiry")?, rows.all_numbers("k")?);
    let (ivs, g) = (rows.all_numbers("iv")?, rows.numbers("g")?);
    let fitted = |i: usize| Fitted {
        log_moneyness: places[i],
        iv: ivs[i],
        g: g[i],
    };
    Ok((0..rows.rows()).map(|i| (expiries[i], fitted(i))).collect())
}
