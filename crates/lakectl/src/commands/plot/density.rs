//! Risk-neutral densities of the fitted smiles.

use anyhow::Result;
use lakectl_plot::pictures::{Density, density};
use lakectl_plot::{Sheet, long_day};

use super::asked::Asked;

/// Of each slice: its spread at the money, quantiles and tails.
const SLICES: &str = "
SELECT expiry, expiry_years * 365 AS days, forward,
       sqrt(greatest(svi_total_variance(a, b, rho, m, sigma, 0.0) / expiry_years, 0.0)) AS atm_iv,
       svi_quantile(a, b, rho, m, sigma, 0.05) AS q05, svi_quantile(a, b, rho, m, sigma, 0.5) AS q50,
       svi_quantile(a, b, rho, m, sigma, 0.95) AS q95, svi_tail_left(a, b, rho, m, sigma, 0.1) AS left_tail,
       svi_tail_right(a, b, rho, m, sigma, 0.1) AS right_tail
FROM options.slices
WHERE asset = $asset AND event_time = $at AND a IS NOT NULL AND svi_total_variance(a, b, rho, m, sigma, 0.0) > 0
ORDER BY expiry";

/// Four lognormal deviations to each side, five to the left, where smiles are fat.
const POINTS: &str = "
WITH slices AS (
    SELECT *, svi_total_variance(a, b, rho, m, sigma, 0.0) AS w FROM options.slices
    WHERE asset = $asset AND event_time = $at AND a IS NOT NULL
),
places AS (
    SELECT *, sqrt(greatest(w, 0.0)) * (9.0 * i / 240 - 5) AS k
    FROM slices CROSS JOIN (SELECT unnest(range(0, 241)) AS i) steps WHERE w > 0
)
SELECT expiry, k, svi_density(a, b, rho, m, sigma, k) AS fitted,
       exp(-power(k + w / 2, 2) / (2 * w)) / sqrt(2 * pi() * greatest(w, 1e-12)) AS lognormal
FROM places WHERE svi_density(a, b, rho, m, sigma, k) IS NOT NULL ORDER BY expiry, k";

pub(super) fn sheet(asked: &mut Asked<'_>) -> Result<Sheet> {
    let slices = asked.rows(&["options.slices"], SLICES)?;
    let expiries = slices.times("expiry")?;
    let wanted = asked.wanted(&expiries)?;
    let points = asked.rows(&["options.slices"], POINTS)?;
    let (owners, places) = (points.times("expiry")?, points.all_numbers("k")?);
    let (fitted, lognormal) = (
        points.all_numbers("fitted")?,
        points.all_numbers("lognormal")?,
    );
    let (days, forwards) = (slices.all_numbers("days")?, slices.all_numbers("forward")?);
    let atm = slices.all_numbers("atm_iv")?;
    let [low, middle, high, left, right] =
        ["q05", "q50", "q95", "left_tail", "right_tail"].map(|name| slices.numbers(name));
    let (low, middle, high, left, right) = (low?, middle?, high?, left?, right?);
    let mut drawn = Vec::new();
    for (i, expiry) in expiries
        .iter()
        .enumerate()
        .filter(|(_, expiry)| wanted.contains(expiry))
    {
        let own = (0..points.rows()).filter(|j| owners[*j] == *expiry);
        let quantiles = low[i].zip(middle[i]).zip(high[i]);
        drawn.push(Density {
            expiry: long_day(expiry.day()),
            days: days[i],
            forward: forwards[i],
            atm_iv: atm[i],
            points: own.map(|j| (places[j], fitted[j], lognormal[j])).collect(),
            quantiles: quantiles.map(|((low, middle), high)| [low, middle, high]),
            tails: left[i].zip(right[i]).map(|(left, right)| [left, right]),
        });
    }
    Ok(density(&asked.about(), &drawn)?)
}
