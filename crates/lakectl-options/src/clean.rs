//! Which quotes are fit for use, and why the others are not.

/// Why a quote is left out. A quote can have several reasons; the order is that of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exclusion {
    /// So close to expiry that the price is a bet on minutes.
    NearExpiry,
    /// No bid above zero.
    NoBid,
    /// No ask above zero.
    NoAsk,
    /// The bid is above the ask.
    Crossed,
    /// The spread is too large a share of the middle price.
    WideSpread,
    /// No contracts are open, or no one says how many.
    NoOpenInterest,
    /// The venue last touched the quote too long before the snapshot.
    Stale,
    /// A volatility that no market has.
    ExtremeIv,
    /// No volatility belongs to the quote's mark.
    NoIv,
}

impl Exclusion {
    /// Every reason, in order.
    pub const ALL: [Self; 9] = [
        Self::NearExpiry,
        Self::NoBid,
        Self::NoAsk,
        Self::Crossed,
        Self::WideSpread,
        Self::NoOpenInterest,
        Self::Stale,
        Self::ExtremeIv,
        Self::NoIv,
    ];

    /// Returns the word that tables use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NearExpiry => "near_expiry",
            Self::NoBid => "no_bid",
            Self::NoAsk => "no_ask",
            Self::Crossed => "crossed",
            Self::WideSpread => "wide_spread",
            Self::NoOpenInterest => "no_open_interest",
            Self::Stale => "stale",
            Self::ExtremeIv => "extreme_iv",
            Self::NoIv => "no_iv",
        }
    }
}

/// What the rules look at. A number that is missing, NaN or infinite is `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuoteFacts {
    /// Time to expiry, years of 365 days.
    pub expiry_years: f64,
    /// Best bid, in any unit.
    pub bid: Option<f64>,
    /// Best ask, same unit.
    pub ask: Option<f64>,
    /// Volatility of the mark, a fraction.
    pub iv: Option<f64>,
    /// Open contracts.
    pub open_interest: Option<f64>,
    /// Age of the quote at the snapshot, seconds. Unknown ages exclude nothing: recordings of whole
    /// chains do not tell them.
    pub age_s: Option<f64>,
}

/// The limits of the rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleaningRules {
    /// Largest spread, as a share of the middle price.
    pub spread_max: f64,
    /// Open interest has to be above this.
    pub open_interest_min: f64,
    /// Largest age, seconds.
    pub age_s_max: f64,
    /// Time to expiry has to be above this, years.
    pub expiry_years_min: f64,
    /// Largest volatility, a fraction.
    pub iv_max: f64,
}

impl Default for CleaningRules {
    /// Five per cent of the middle price, any open interest, ten seconds, an hour, 300 %.
    fn default() -> Self {
        Self {
            spread_max: 0.05,
            open_interest_min: 0.0,
            age_s_max: 10.0,
            expiry_years_min: 1.0 / (365.0 * 24.0),
            iv_max: 3.0,
        }
    }
}

/// A set of reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exclusions(u16);

impl Exclusions {
    /// How many sets there are.
    pub const COUNT: usize = 1 << Exclusion::ALL.len();

    /// Returns the set with the number `bits`; higher bits are ignored.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & (Self::COUNT as u16 - 1))
    }

    /// Returns the number of the set, below [`COUNT`](Self::COUNT).
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether the quote is fit for use.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the set has this reason.
    #[must_use]
    pub const fn contains(self, reason: Exclusion) -> bool {
        self.0 & (1 << reason as u16) != 0
    }

    /// Returns the reasons, in order.
    pub fn iter(self) -> impl Iterator<Item = Exclusion> {
        Exclusion::ALL
            .into_iter()
            .filter(move |reason| self.contains(*reason))
    }

    fn set(&mut self, reason: Exclusion, holds: bool) {
        self.0 |= u16::from(holds) << reason as u16;
    }
}

/// Judges a quote by all rules.
///
/// A spread is judged only where both sides are there and in order.
#[must_use]
pub fn exclusions(quote: &QuoteFacts, rules: &CleaningRules) -> Exclusions {
    let known = |value: Option<f64>| value.filter(|v| v.is_finite());
    let side = |price: Option<f64>| known(price).filter(|p| *p > 0.0);
    let (bid, ask) = (side(quote.bid), side(quote.ask));
    let (mut crossed, mut wide) = (false, false);
    if let (Some(bid), Some(ask)) = (bid, ask) {
        crossed = bid > ask;
        // Halved first, so that the largest prices do not overflow.
        let middle = 0.5 * bid + 0.5 * ask;
        wide = !crossed && ask - bid > rules.spread_max * middle;
    }
    let iv = known(quote.iv).filter(|v| *v > 0.0);
    let mut found = Exclusions::default();
    let late = !(quote.expiry_years > rules.expiry_years_min);
    found.set(Exclusion::NearExpiry, late);
    found.set(Exclusion::NoBid, bid.is_none());
    found.set(Exclusion::NoAsk, ask.is_none());
    found.set(Exclusion::Crossed, crossed);
    found.set(Exclusion::WideSpread, wide);
    let open = known(quote.open_interest).is_some_and(|oi| oi > rules.open_interest_min);
    found.set(Exclusion::NoOpenInterest, !open);
    let stale = known(quote.age_s).is_some_and(|age| age > rules.age_s_max);
    found.set(Exclusion::Stale, stale);
    found.set(Exclusion::ExtremeIv, iv.is_some_and(|v| v > rules.iv_max));
    found.set(Exclusion::NoIv, iv.is_none());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: QuoteFacts = QuoteFacts {
        expiry_years: 0.1,
        bid: Some(0.0100),
        ask: Some(0.0105),
        iv: Some(0.5),
        open_interest: Some(3.0),
        age_s: None,
    };

    fn words(quote: QuoteFacts) -> Vec<&'static str> {
        let found = exclusions(&quote, &CleaningRules::default());
        found.iter().map(Exclusion::word).collect()
    }

    #[test]
    fn each_rule_has_its_limit() {
        let cases: [(QuoteFacts, &[&str]); 16] = [
            (GOOD, &[]),
            (
                QuoteFacts {
                    ask: Some(0.0106),
                    ..GOOD
                },
                &["wide_spread"],
            ),
            (
                QuoteFacts {
                    ask: Some(0.0100),
                    ..GOOD
                },
                &[],
            ),
            (
                QuoteFacts {
                    ask: Some(0.0099),
                    ..GOOD
                },
                &["crossed"],
            ),
            (QuoteFacts { bid: None, ..GOOD }, &["no_bid"]),
            (
                QuoteFacts {
                    bid: Some(0.0),
                    ..GOOD
                },
                &["no_bid"],
            ),
            (
                QuoteFacts {
                    ask: Some(f64::INFINITY),
                    ..GOOD
                },
                &["no_ask"],
            ),
            (
                QuoteFacts {
                    open_interest: Some(0.0),
                    ..GOOD
                },
                &["no_open_interest"],
            ),
            (
                QuoteFacts {
                    open_interest: None,
                    ..GOOD
                },
                &["no_open_interest"],
            ),
            (
                QuoteFacts {
                    age_s: Some(10.0),
                    ..GOOD
                },
                &[],
            ),
            (
                QuoteFacts {
                    age_s: Some(10.5),
                    ..GOOD
                },
                &["stale"],
            ),
            (
                QuoteFacts {
                    iv: Some(3.1),
                    ..GOOD
                },
                &["extreme_iv"],
            ),
            (QuoteFacts { iv: None, ..GOOD }, &["no_iv"]),
            (
                QuoteFacts {
                    expiry_years: 1.0 / 8_760.0,
                    ..GOOD
                },
                &["near_expiry"],
            ),
            (
                QuoteFacts {
                    expiry_years: f64::NAN,
                    ..GOOD
                },
                &["near_expiry"],
            ),
            (
                QuoteFacts {
                    bid: None,
                    ask: None,
                    iv: Some(f64::NAN),
                    open_interest: Some(-1.0),
                    ..GOOD
                },
                &["no_bid", "no_ask", "no_open_interest", "no_iv"],
            ),
        ];
        for (quote, expected) in cases {
            assert_eq!(words(quote), expected, "{quote:?}");
        }
    }

    #[test]
    fn a_set_is_its_number() {
        for bits in 0..Exclusions::COUNT as u16 {
            let set = Exclusions::from_bits(bits);
            assert_eq!(set.bits(), bits);
            assert_eq!(set.iter().count() as u32, bits.count_ones());
            assert_eq!(set.is_empty(), bits == 0);
        }
    }
}
