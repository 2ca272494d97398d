//! The surface between the expiries, and its nodes.

use anyhow::Result;
use lakectl_plot::Sheet;
use lakectl_plot::pictures::{Node, Strip, surface};

use super::asked::Asked;

/// Total variance linear in time between neighbours at one moneyness; the quoted range linear between theirs, and at most three
/// deviations wide on each side.
///
/// Roots are of what cannot be negative even in rows that a filter drops: filters move, and one such root ends a query.
const STRIPS: &str = "
WITH quoted AS (
    SELECT expiry, min(log_moneyness) AS low, max(log_moneyness) AS high
    FROM options.greeks
    WHERE asset = $asset AND event_time = $at AND out_of_the_money AND two_sided GROUP BY expiry
),
slices AS (
    SELECT s.a, s.b, s.rho, s.m, s.sigma, s.expiry_years AS t, q.low, q.high,
           lead(s.a) OVER w AS a2, lead(s.b) OVER w AS b2, lead(s.rho) OVER w AS rho2, lead(s.m) OVER w AS m2,
           lead(s.sigma) OVER w AS sigma2, lead(s.expiry_years) OVER w AS t2, lead(q.low) OVER w AS low2,
           lead(q.high) OVER w AS high2, min(s.expiry_years) OVER () AS first, max(s.expiry_years) OVER () AS last
    FROM options.slices s JOIN quoted q ON q.expiry = s.expiry
    WHERE s.asset = $asset AND s.event_time = $at AND s.a IS NOT NULL AND q.low < q.high
    WINDOW w AS (ORDER BY s.expiry_years)
),
strips AS (
    SELECT *, power(sqrt(first) + (sqrt(last) - sqrt(first)) * i / 119, 2) AS tau
    FROM slices CROSS JOIN (SELECT unnest(range(0, 120)) AS i) steps
),
inside AS (
    SELECT *, (tau - t) / (t2 - t) AS share FROM strips WHERE tau >= t AND tau < t2
),
bounds AS (
    SELECT *, sqrt(greatest((1 - share) * svi_total_variance(a, b, rho, m, sigma, 0.0)
                            + share * svi_total_variance(a2, b2, rho2, m2, sigma2, 0.0), 0.0)) AS deviation,
           low + (low2 - low) * share AS bottom, high + (high2 - high) * share AS top
    FROM inside
),
places AS (
    SELECT *, greatest(bottom, -3 * deviation)
              + (least(top, 3 * deviation) - greatest(bottom, -3 * deviation)) * j / 80 AS k
    FROM bounds CROSS JOIN (SELECT unnest(range(0, 81)) AS j) steps WHERE deviation > 0
),
variances AS (
    SELECT tau, k, k / deviation AS z, (1 - share) * svi_total_variance(a, b, rho, m, sigma, k)
                   + share * svi_total_variance(a2, b2, rho2, m2, sigma2, k) AS w
    FROM places
)
SELECT tau * 365 AS days, z, sqrt(greatest(w / tau, 0.0)) AS iv FROM variances WHERE w > 0 ORDER BY tau, z";

const EXPIRIES: &str = "
SELECT expiry_years * 365 AS days FROM options.slices
WHERE asset = $asset AND event_time = $at AND a IS NOT NULL ORDER BY expiry";

const NODES: &str = "
SELECT tenor_days, node, iv FROM options.surface_nodes
WHERE asset = $asset AND event_time = $at AND iv IS NOT NULL ORDER BY tenor_days, node";

pub(super) fn sheet(asked: &mut Asked<'_>) -> Result<Sheet> {
    let rows = asked.rows(&["options.greeks", "options.slices"], STRIPS)?;
    let (days, places, ivs) = (
        rows.all_numbers("days")?,
        rows.all_numbers("z")?,
        rows.all_numbers("iv")?,
    );
    let mut strips: Vec<Strip> = Vec::new();
    for i in 0..rows.rows() {
        let point = (places[i], ivs[i]);
        match strips.last_mut().filter(|strip| strip.days == days[i]) {
            Some(strip) => strip.points.push(point),
            None => strips.push(Strip {
                days: days[i],
                points: vec![point],
            }),
        }
    }
    let expiries = asked
        .rows(&["options.slices"], EXPIRIES)?
        .all_numbers("days")?;
    let nodes = nodes(asked)?;
    Ok(surface(&asked.about(), &strips, &expiries, &nodes)?)
}

fn nodes(asked: &mut Asked<'_>) -> Result<Vec<Node>> {
    let rows = asked.rows(&["options.surface_nodes"], NODES)?;
    let (tenors, names, ivs) = (
        rows.all_numbers("tenor_days")?,
        rows.texts("node")?,
        rows.all_numbers("iv")?,
    );
    let nodes = tenors
        .into_iter()
        .zip(names)
        .zip(ivs)
        .map(|((tenor, node), iv)| Node {
            tenor_days: tenor as i64,
            node,
            iv,
        });
    Ok(nodes.collect())
}
