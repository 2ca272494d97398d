//! Divergence between what options price and what flows on chain press for: classes with
//! hysteresis.

/// A score beyond this, either way, is a class of its own.
const SCORE_LIMIT: f64 = 1.5;
/// Call-side richness above which a breakout may be near.
const CALL_LIMIT: f64 = 1.0;
/// Supply elasticity below which supply counts as inelastic.
const ELASTICITY_LIMIT: f64 = -1.0;
/// Pressure below which nobody is forced to sell.
const PRESSURE_LIMIT: f64 = 0.5;

/// One decision day. All values are z-scores or means of z-scores; `None` is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observation {
    /// Smoothed tail less pressure.
    pub score: Option<f64>,
    /// Richness of the call side.
    pub call: Option<f64>,
    /// Supply elasticity.
    pub elasticity: Option<f64>,
    /// On-chain pressure to sell.
    pub pressure: Option<f64>,
}

/// How option prices stand to on-chain pressure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DivergenceClass {
    /// Protection is dear without pressure behind it.
    HedgeDemand,
    /// Pressure is there and protection is cheap.
    UnderpricedRisk,
    /// Calls are dear and supply is inelastic.
    BreakoutRisk,
    /// Both sides tell the same story.
    #[default]
    Balanced,
}

impl DivergenceClass {
    /// Returns the class's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HedgeDemand => "hedge_demand",
            Self::UnderpricedRisk => "underpriced_crash_risk",
            Self::BreakoutRisk => "breakout_risk",
            Self::Balanced => "balanced",
        }
    }
}

/// Returns the class of the last day of `days` (oldest first), or `None` if that day has no score.
///
/// A class is left only when its condition fails by more than `band` (at least 0). Memory starts as
/// balanced before the first day and after a day without a score, so the answer depends on nothing
/// but `days`.
pub fn classify(days: &[Observation], band: f64) -> Option<DivergenceClass> {
    let mut class = None;
    for day in days {
        class = day
            .score
            .map(|score| step(class.unwrap_or_default(), day, score, band));
    }
    class
}

fn step(before: DivergenceClass, day: &Observation, score: f64, band: f64) -> DivergenceClass {
    use DivergenceClass::{Balanced, BreakoutRisk, HedgeDemand, UnderpricedRisk};
    let order = [HedgeDemand, UnderpricedRisk, BreakoutRisk];
    // The two extremes of the score win at once; otherwise the class of yesterday may stay.
    let entered = order
        .into_iter()
        .find(|&class| holds(class, day, score, 0.0));
    let stays = before != Balanced && holds(before, day, score, band);
    match entered {
        Some(class @ (HedgeDemand | UnderpricedRisk)) => class,
        _ if stays => before,
        Some(class) => class,
        None => Balanced,
    }
}

fn holds(class: DivergenceClass, day: &Observation, score: f64, slack: f64) -> bool {
    match class {
        DivergenceClass::HedgeDemand => score > SCORE_LIMIT - slack,
        DivergenceClass::UnderpricedRisk => score < slack - SCORE_LIMIT,
        DivergenceClass::BreakoutRisk => {
            day.call.is_some_and(|call| call > CALL_LIMIT - slack)
                && day.elasticity.is_some_and(|z| z < ELASTICITY_LIMIT + slack)
                && day
                    .pressure
                    .is_some_and(|pressure| pressure < PRESSURE_LIMIT + slack)
        }
        DivergenceClass::Balanced => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(scores: &[f64]) -> Vec<Observation> {
        scores
            .iter()
            .map(|&score| Observation {
                score: Some(score),
                ..Observation::default()
            })
            .collect()
    }

    #[test]
    fn classes_are_left_later_than_entered() {
        use DivergenceClass::{Balanced, HedgeDemand, UnderpricedRisk};
        let cases: [(&[f64], DivergenceClass); 7] = [
            (&[1.5], Balanced),
            (&[1.6], HedgeDemand),
            (&[1.6, 1.3], HedgeDemand),
            (&[1.3], Balanced),
            (&[1.6, 1.25, 1.4], Balanced),
            (&[1.6, -1.6], UnderpricedRisk),
            (&[-1.6, -1.3], UnderpricedRisk),
        ];
        for (scores, class) in cases {
            assert_eq!(classify(&days(scores), 0.25), Some(class), "{scores:?}");
        }
    }

    #[test]
    fn breakout_is_reachable_and_yields_to_extremes() {
        let calm = Observation {
            score: Some(0.2),
            call: Some(1.2),
            elasticity: Some(-1.1),
            pressure: Some(0.0),
        };
        let fading = Observation {
            call: Some(0.8),
            elasticity: Some(-0.8),
            ..calm
        };
        let extreme = Observation {
            score: Some(2.0),
            ..calm
        };
        assert_eq!(classify(&[calm], 0.25), Some(DivergenceClass::BreakoutRisk));
        assert_eq!(
            classify(&[calm, fading], 0.25),
            Some(DivergenceClass::BreakoutRisk)
        );
        assert_eq!(classify(&[fading], 0.25), Some(DivergenceClass::Balanced));
        assert_eq!(
            classify(&[calm, extreme], 0.25),
            Some(DivergenceClass::HedgeDemand)
        );
        // Without a reading of supply nothing is claimed about it.
        assert_eq!(
            classify(
                &[Observation {
                    elasticity: None,
                    ..calm
                }],
                0.25
            ),
            Some(DivergenceClass::Balanced)
        );
    }

    #[test]
    fn a_day_without_a_score_has_no_class_and_ends_the_memory() {
        let mut history = days(&[1.6, 0.0, 1.3]);
        history[1].score = None;
        assert_eq!(classify(&history, 0.25), Some(DivergenceClass::Balanced));
        assert_eq!(classify(&history[..2], 0.25), None);
        assert_eq!(classify(&[], 0.25), None);
    }
}
