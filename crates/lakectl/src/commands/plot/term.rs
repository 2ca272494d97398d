//! Volatility over time to expiry.

use anyhow::Result;
use lakectl_plot::Sheet;
use lakectl_plot::pictures::{Forward, Tenor, Term, term};

use super::asked::Asked;

const EXPIRIES: &str = "
WITH variances AS (
    SELECT expiry_years AS t, svi_total_variance(a, b, rho, m, sigma, 0.0) AS w
    FROM options.slices WHERE asset = $asset AND event_time = $at AND a IS NOT NULL
),
steps AS (
    SELECT t, w, lag(t) OVER (ORDER BY t) AS t0, lag(w) OVER (ORDER BY t) AS w0 FROM variances WHERE w > 0
)
SELECT t * 365 AS days, sqrt(greatest(w / t, 0.0)) AS iv, t0 * 365 AS days_before,
       CASE WHEN w >= w0 THEN sqrt(greatest((w - w0) / (t - t0), 0.0)) END AS forward_iv
FROM steps ORDER BY t";

const TENORS: &str = "
SELECT tenor_days, max(iv) FILTER (WHERE node = '10p') AS put_10, max(iv) FILTER (WHERE node = '25p') AS put_25,
       max(iv) FILTER (WHERE node = 'atm') AS atm, max(iv) FILTER (WHERE node = '25c') AS call_25,
       max(iv) FILTER (WHERE node = '10c') AS call_10
FROM options.surface_nodes WHERE asset = $asset AND event_time = $at GROUP BY tenor_days ORDER BY tenor_days";

pub(super) fn sheet(asked: &mut Asked<'_>) -> Result<Sheet> {
    let rows = asked.rows(&["options.slices"], EXPIRIES)?;
    let (days, ivs) = (rows.all_numbers("days")?, rows.all_numbers("iv")?);
    let (before, forward) = (rows.numbers("days_before")?, rows.numbers("forward_iv")?);
    let steps = days.iter().zip(before.iter().zip(forward));
    let forwards = steps.filter_map(|(to, (from, iv))| {
        Some(Forward {
            from_days: (*from)?,
            to_days: *to,
            iv,
        })
    });
    let drawn = Term {
        forwards: forwards.collect(),
        expiries: days.iter().copied().zip(ivs).collect(),
        tenors: tenors(asked)?,
    };
    Ok(term(&asked.about(), &drawn)?)
}

fn tenors(asked: &mut Asked<'_>) -> Result<Vec<Tenor>> {
    let rows = asked.rows(&["options.surface_nodes"], TENORS)?;
    let days = rows.all_numbers("tenor_days")?;
    let (put_10, put_25, atm) = (
        rows.numbers("put_10")?,
        rows.numbers("put_25")?,
        rows.numbers("atm")?,
    );
    let (call_25, call_10) = (rows.numbers("call_25")?, rows.numbers("call_10")?);
    let tenor = |i: usize| Tenor {
        days: days[i],
        put_10: put_10[i],
        put_25: put_25[i],
        atm: atm[i],
        call_25: call_25[i],
        call_10: call_10[i],
    };
    Ok((0..rows.rows()).map(tenor).collect())
}
