//! Exposure of the dealers' book over the spot price.

use anyhow::Result;
use lakectl_plot::Sheet;
use lakectl_plot::pictures::{Exposure, Flip, Profile, StrikeColumn, exposure};

use super::asked::Asked;

const PROFILES: &str = "
SELECT scenario, sticky, level, gamma_usd_per_pct FROM options.exposure_profile
WHERE asset = $asset AND event_time = $at ORDER BY scenario, sticky DESC, level";

const LEVELS: &str = "
SELECT scenario, sticky, spot, zero_gamma_level, flip_status, call_wall, put_wall, max_pain, reason FROM options.exposure
WHERE asset = $asset AND event_time = $at ORDER BY scenario, sticky DESC";

/// Dealers long calls and short puts.
const STRIKES: &str = "
SELECT strike, sum(CASE WHEN option_type = 'call' THEN usd END) AS calls,
       -sum(CASE WHEN option_type = 'put' THEN usd END) AS puts
FROM (SELECT strike, option_type, open_interest * gamma * forward * forward * 0.01 AS usd
      FROM options.greeks WHERE asset = $asset AND event_time = $at AND open_interest > 0 AND gamma IS NOT NULL)
GROUP BY strike ORDER BY strike";

/// The assumption of the main lines: a strike keeps its volatility while the spot price moves.
const STICKY: &str = "strike";

pub(super) fn sheet(asked: &mut Asked<'_>) -> Result<Sheet> {
    let rows = asked.rows(&["options.exposure_profile"], PROFILES)?;
    let (scenarios, sticky) = (rows.texts("scenario")?, rows.texts("sticky")?);
    let (prices, gammas) = (
        rows.all_numbers("level")?,
        rows.all_numbers("gamma_usd_per_pct")?,
    );
    let mut drawn = Exposure {
        strikes_scenario: "naive".to_owned(),
        ..Exposure::default()
    };
    levels(asked, &mut drawn)?;
    for (i, scenario) in scenarios.iter().enumerate() {
        if let Some(profile) = drawn
            .profiles
            .iter_mut()
            .find(|profile| profile.scenario == *scenario)
        {
            let points = match sticky[i] == STICKY {
                true => &mut profile.points,
                false => &mut profile.sticky_delta,
            };
            points.push((prices[i], gammas[i]));
        }
    }
    strikes(asked, &mut drawn)?;
    Ok(exposure(&asked.about(), &drawn)?)
}

/// One profile, still without points, for each scenario of the book.
fn levels(asked: &mut Asked<'_>, drawn: &mut Exposure) -> Result<()> {
    let rows = asked.rows(&["options.exposure"], LEVELS)?;
    let (scenarios, sticky) = (rows.texts("scenario")?, rows.texts("sticky")?);
    let (statuses, reasons) = (rows.texts("flip_status")?, rows.texts("reason")?);
    let (spots, flips) = (rows.numbers("spot")?, rows.numbers("zero_gamma_level")?);
    drawn.spot = spots.iter().copied().flatten().next();
    for i in (0..rows.rows()).filter(|i| sticky[*i] == STICKY) {
        drawn.profiles.push(Profile {
            scenario: scenarios[i].clone(),
            flip: Flip {
                status: statuses[i].clone(),
                level: flips[i],
            },
            reason: reasons[i].clone(),
            ..Profile::default()
        });
        if scenarios[i] == drawn.strikes_scenario {
            for (column, name) in [
                ("call_wall", "call wall"),
                ("put_wall", "put wall"),
                ("max_pain", "max pain"),
            ] {
                let level = rows.numbers(column)?[i];
                drawn
                    .levels
                    .extend(level.map(|level| (name.to_owned(), level)));
            }
        }
    }
    Ok(())
}

fn strikes(asked: &mut Asked<'_>, drawn: &mut Exposure) -> Result<()> {
    let rows = asked.rows(&["options.greeks"], STRIKES)?;
    let strikes = rows.all_numbers("strike")?;
    let (calls, puts) = (rows.numbers("calls")?, rows.numbers("puts")?);
    drawn.strikes = (0..rows.rows())
        .map(|i| StrikeColumn {
            strike: strikes[i],
            calls: calls[i].unwrap_or_default(),
            puts: puts[i].unwrap_or_default(),
        })
        .collect();
    Ok(())
}
