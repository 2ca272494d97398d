//! Fusion of three families of evidence (age of invested dollars, whales, MVRV long/short) into one
//! market state: an ordered rule table, a score, a confidence and a size.

/// Which rule table to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// The first table, kept for parity: sponsored trends fall through, every short has low
    /// confidence, conflicts push shorts further down.
    Legacy,
    /// The repaired table.
    V2,
}

/// Flags of the mean-dollar-invested-age family. Young money arriving lowers the age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MdiaFlags {
    /// All four horizons fall and the fall accelerates.
    pub strong_inflow: bool,
    /// At least three horizons fall.
    pub inflow: bool,
    /// The age rises.
    pub distribution: bool,
}

impl MdiaFlags {
    /// Reads flags packed into an integer: the first field is bit 0, the next bit 1, and so on.
    pub const fn from_bits(bits: u32) -> Self {
        let bits = Bits(bits);
        Self {
            strong_inflow: bits.on(0),
            inflow: bits.on(1),
            distribution: bits.on(2),
        }
    }
}

/// Flags of the whale family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WhaleFlags {
    /// Large and small holders accumulate.
    pub broad_accumulation: bool,
    /// Only large holders accumulate.
    pub strategic_accumulation: bool,
    /// Large holders distribute.
    pub distribution: bool,
    /// Large holders distribute over three horizons or more.
    pub strong_distribution: bool,
    /// Small holders buy while the sized balances together fall.
    pub retail_trap: bool,
    /// Large holders buy and sell over different horizons.
    pub mega_conflict: bool,
    /// Small holders buy and sell over different horizons.
    pub small_conflict: bool,
}

impl WhaleFlags {
    /// Reads flags packed into an integer: the first field is bit 0, the next bit 1, and so on.
    pub const fn from_bits(bits: u32) -> Self {
        let bits = Bits(bits);
        Self {
            broad_accumulation: bits.on(0),
            strategic_accumulation: bits.on(1),
            distribution: bits.on(2),
            strong_distribution: bits.on(3),
            retail_trap: bits.on(4),
            mega_conflict: bits.on(5),
            small_conflict: bits.on(6),
        }
    }
}

/// Flags of the MVRV long/short family. They are nested: recovery and trend imply a confirmed call,
/// a bear implies a confirmed put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LongShortFlags {
    /// Strong uptrend.
    pub call_confirm: bool,
    /// Strong uptrend from a low level.
    pub recovery: bool,
    /// Strong uptrend at a middle or high level.
    pub trend: bool,
    /// Weak uptrend.
    pub weak_uptrend: bool,
    /// Strong downtrend.
    pub put_confirm: bool,
    /// Strong downtrend at a low level.
    pub bear: bool,
    /// Both short horizons roll over.
    pub rollover: bool,
    /// Weak downtrend.
    pub weak_downtrend: bool,
    /// High level and an early rollover.
    pub distribution_warning: bool,
    /// Horizons disagree.
    pub conflict: bool,
}

impl LongShortFlags {
    /// Reads flags packed into an integer: the first field is bit 0, the next bit 1, and so on.
    pub const fn from_bits(bits: u32) -> Self {
        let bits = Bits(bits);
        Self {
            call_confirm: bits.on(0),
            recovery: bits.on(1),
            trend: bits.on(2),
            weak_uptrend: bits.on(3),
            put_confirm: bits.on(4),
            bear: bits.on(5),
            rollover: bits.on(6),
            weak_downtrend: bits.on(7),
            distribution_warning: bits.on(8),
            conflict: bits.on(9),
        }
    }
}

#[derive(Clone, Copy)]
struct Bits(u32);

impl Bits {
    const fn on(self, index: u32) -> bool {
        self.0 >> index & 1 == 1
    }
}

/// The three families; `None` is a family without data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Age of invested dollars.
    pub mdia: Option<MdiaFlags>,
    /// Holders by size.
    pub whales: Option<WhaleFlags>,
    /// MVRV long/short.
    pub long_short: Option<LongShortFlags>,
}

/// A set of families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Families {
    /// Age of invested dollars.
    pub mdia: bool,
    /// Holders by size.
    pub whales: bool,
    /// MVRV long/short.
    pub long_short: bool,
}

/// Why there is no trade, or one of size 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// These families have no data.
    Missing(Families),
    /// No rule matches. Another reading of any one of these families, the others staying as they
    /// are, would have given a trade.
    NoRule(Families),
    /// The probe's score is below its gate of 2.
    ProbeGate,
}

impl Reason {
    /// Returns the reason as a sentence without a full stop.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ProbeGate => "the probe's score is below its gate",
            Self::Missing(f) => match (f.mdia, f.whales, f.long_short) {
                (true, true, true) => "missing: mdia, whales, long_short",
                (true, true, false) => "missing: mdia, whales",
                (true, false, true) => "missing: mdia, long_short",
                (true, false, false) => "missing: mdia",
                (false, true, true) => "missing: whales, long_short",
                (false, true, false) => "missing: whales",
                (false, false, true) => "missing: long_short",
                (false, false, false) => "missing: nothing",
            },
            Self::NoRule(f) => match (f.mdia, f.whales, f.long_short) {
                (true, true, true) => {
                    "no rule matches; any one of mdia, whales, long_short could unlock a trade"
                }
                (true, true, false) => "no rule matches; mdia or whales could unlock a trade",
                (true, false, true) => "no rule matches; mdia or long_short could unlock a trade",
                (true, false, false) => "no rule matches; mdia could unlock a trade",
                (false, true, true) => "no rule matches; whales or long_short could unlock a trade",
                (false, true, false) => "no rule matches; whales could unlock a trade",
                (false, false, true) => "no rule matches; long_short could unlock a trade",
                (false, false, false) => "no rule matches; no family alone could unlock a trade",
            },
        }
    }
}

/// The market state, in the order of its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarketState {
    /// Young money, sponsors and a confirmed uptrend.
    StrongBullish,
    /// The same from a low level.
    EarlyRecovery,
    /// No inflow, distribution and a confirmed downtrend.
    BearContinuation,
    /// Distribution into a weakening trend.
    DistributionRisk,
    /// Inflow and a trend without distribution.
    Momentum,
    /// Inflow and sponsors before any trend.
    BullProbe,
    /// Ageing money and distribution before any trend.
    BearProbe,
    /// No rule applies, or a family has no data.
    NoTrade,
}

impl MarketState {
    /// Returns the state's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StrongBullish => "strong_bullish",
            Self::EarlyRecovery => "early_recovery",
            Self::BearContinuation => "bear_continuation",
            Self::DistributionRisk => "distribution_risk",
            Self::Momentum => "momentum",
            Self::BullProbe => "bull_probe",
            Self::BearProbe => "bear_probe",
            Self::NoTrade => "no_trade",
        }
    }

    /// Returns +1 for a long, -1 for a short, 0 for no trade.
    pub const fn direction(self) -> i64 {
        match self {
            Self::StrongBullish | Self::EarlyRecovery | Self::Momentum | Self::BullProbe => 1,
            Self::BearContinuation | Self::DistributionRisk | Self::BearProbe => -1,
            Self::NoTrade => 0,
        }
    }

    const fn is_probe(self) -> bool {
        matches!(self, Self::BullProbe | Self::BearProbe)
    }
}

/// How far the families agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Below 2.
    Low,
    /// At least 2.
    Medium,
    /// At least 4.
    High,
}

impl Confidence {
    /// Returns the level's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    fn of(points: i64) -> Self {
        match points {
            4.. => Self::High,
            2..=3 => Self::Medium,
            _ => Self::Low,
        }
    }
}

/// What the rule table says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fusion {
    /// The state of the first rule that matches.
    pub state: MarketState,
    /// Points of the families after conflicts; `None` when a family has no data.
    pub score: Option<i64>,
    /// Points in the direction of the trade.
    pub confidence: Confidence,
    /// Size as a share of a full position, 0 to 1.
    pub size: f64,
    /// Why there is no trade, or why its size is 0; `None` otherwise.
    pub reason: Option<Reason>,
}

/// Applies the rule table.
pub fn fuse(evidence: &Evidence, rules: Rules) -> Fusion {
    let (Some(mdia), Some(whales), Some(long_short)) =
        (evidence.mdia, evidence.whales, evidence.long_short)
    else {
        return missing(evidence);
    };
    let state = state(mdia, whales, long_short, rules);
    let score = score(mdia, whales, long_short, rules);
    let points = match rules {
        Rules::Legacy => score,
        Rules::V2 => score * state.direction(),
    };
    let size = size(state, score);
    let reason = if state == MarketState::NoTrade {
        Some(attribution(mdia, whales, long_short, rules))
    } else if size == 0.0 {
        Some(Reason::ProbeGate)
    } else {
        None
    };
    Fusion {
        state,
        score: Some(score),
        confidence: Confidence::of(points),
        size,
        reason,
    }
}

fn missing(evidence: &Evidence) -> Fusion {
    let absent = Families {
        mdia: evidence.mdia.is_none(),
        whales: evidence.whales.is_none(),
        long_short: evidence.long_short.is_none(),
    };
    Fusion {
        state: MarketState::NoTrade,
        score: None,
        confidence: Confidence::Low,
        size: 0.0,
        reason: Some(Reason::Missing(absent)),
    }
}

fn state(mdia: MdiaFlags, whales: WhaleFlags, ls: LongShortFlags, rules: Rules) -> MarketState {
    let inflow = mdia.inflow || mdia.strong_inflow;
    let sponsored = whales.broad_accumulation || whales.strategic_accumulation;
    let distributed = whales.distribution || whales.strong_distribution;
    let bullish = ls.call_confirm || ls.recovery || ls.trend || ls.weak_uptrend;
    let weakening = ls.rollover || ls.weak_downtrend || ls.distribution_warning;
    let neutral = !bullish && !ls.put_confirm && !ls.bear && !weakening;
    let (risk_allowed, momentum_allowed) = match rules {
        Rules::Legacy => (!mdia.strong_inflow, !sponsored),
        Rules::V2 => (!inflow, !whales.retail_trap),
    };
    if mdia.strong_inflow && sponsored && ls.call_confirm {
        MarketState::StrongBullish
    } else if inflow && sponsored && ls.recovery {
        MarketState::EarlyRecovery
    } else if !inflow && distributed && (ls.put_confirm || ls.bear) {
        MarketState::BearContinuation
    } else if distributed && risk_allowed && weakening {
        MarketState::DistributionRisk
    } else if inflow && !distributed && momentum_allowed && (ls.trend || ls.weak_uptrend) {
        MarketState::Momentum
    } else if inflow && sponsored && neutral {
        MarketState::BullProbe
    } else if mdia.distribution && distributed && neutral {
        MarketState::BearProbe
    } else {
        MarketState::NoTrade
    }
}

/// Returns the points of each family alone: age of dollars, whales, long/short.
pub fn family_points(mdia: MdiaFlags, whales: WhaleFlags, ls: LongShortFlags) -> [i64; 3] {
    let first = |table: &[(bool, i64)]| table.iter().find(|(on, _)| *on).map_or(0, |(_, p)| *p);
    [
        first(&[
            (mdia.strong_inflow, 2),
            (mdia.inflow, 1),
            (mdia.distribution, -1),
        ]),
        first(&[
            (whales.broad_accumulation, 2),
            (whales.strategic_accumulation, 1),
            (whales.strong_distribution, -2),
            (whales.distribution, -1),
        ]),
        first(&[
            (ls.recovery, 2),
            (ls.trend, 1),
            (ls.call_confirm, 1),
            (ls.put_confirm, -2),
            (ls.distribution_warning, -1),
        ]),
    ]
}

fn score(mdia: MdiaFlags, whales: WhaleFlags, ls: LongShortFlags, rules: Rules) -> i64 {
    let base: i64 = family_points(mdia, whales, ls).iter().sum();
    let conflicts = [ls.conflict, whales.mega_conflict, whales.small_conflict];
    let conflicts = conflicts.iter().map(|&on| i64::from(on)).sum::<i64>();
    match rules {
        Rules::Legacy => base - conflicts,
        // A conflict makes either side weaker; it never turns one side into the other.
        Rules::V2 => base.signum() * (base.abs() - conflicts).max(0),
    }
}

fn size(state: MarketState, score: i64) -> f64 {
    if state == MarketState::NoTrade {
        return 0.0;
    }
    if !state.is_probe() {
        return 1.0;
    }
    match score * state.direction() {
        4.. => 0.60,
        3 => 0.50,
        2 => 0.35,
        _ => 0.0,
    }
}

/// Finds the families that alone could have unlocked a trade, the others staying as they are.
fn attribution(mdia: MdiaFlags, whales: WhaleFlags, ls: LongShortFlags, rules: Rules) -> Reason {
    let trades = |m, w, l| state(m, w, l, rules) != MarketState::NoTrade;
    Reason::NoRule(Families {
        mdia: mdia_choices().into_iter().any(|m| trades(m, whales, ls)),
        whales: whale_choices().into_iter().any(|w| trades(mdia, w, ls)),
        long_short: long_short_choices()
            .into_iter()
            .any(|l| trades(mdia, whales, l)),
    })
}

fn mdia_choices() -> [MdiaFlags; 4] {
    let none = MdiaFlags::default();
    [
        MdiaFlags {
            strong_inflow: true,
            ..none
        },
        MdiaFlags {
            inflow: true,
            ..none
        },
        MdiaFlags {
            distribution: true,
            ..none
        },
        none,
    ]
}

fn whale_choices() -> [WhaleFlags; 4] {
    let none = WhaleFlags::default();
    [
        WhaleFlags {
            broad_accumulation: true,
            ..none
        },
        WhaleFlags {
            strategic_accumulation: true,
            ..none
        },
        WhaleFlags {
            distribution: true,
            ..none
        },
        none,
    ]
}

fn long_short_choices() -> [LongShortFlags; 6] {
    let none = LongShortFlags::default();
    [
        LongShortFlags {
            call_confirm: true,
            recovery: true,
            ..none
        },
        LongShortFlags {
            call_confirm: true,
            trend: true,
            ..none
        },
        LongShortFlags {
            weak_uptrend: true,
            ..none
        },
        LongShortFlags {
            put_confirm: true,
            ..none
        },
        LongShortFlags {
            weak_downtrend: true,
            ..none
        },
        none,
    ]
}

#[cfg(test)]
mod tests;
