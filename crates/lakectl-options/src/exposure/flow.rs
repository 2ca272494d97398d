//! Whose side dealers are on.

use std::collections::BTreeMap;

use crate::OptionKind;

/// An assumption on the sign of dealers' positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Dealers have sold every open contract. Their gamma is never positive.
    AllShort,
    /// Dealers are long calls, which holders of coin overwrite, and short puts, which they buy.
    Naive,
    /// Dealers hold the other side of what takers have bought and sold.
    TakerFlow,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 3] = [Self::AllShort, Self::Naive, Self::TakerFlow];

    /// Returns the word that tables use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AllShort => "all_short",
            Self::Naive => "naive",
            Self::TakerFlow => "taker_flow",
        }
    }

    /// Dealers' contracts out of an open interest; `None` for taker flow, which needs trades ([`DealerInventory`]).
    #[must_use]
    pub const fn position(self, kind: OptionKind, open_interest: f64) -> Option<f64> {
        match (self, kind) {
            (Self::AllShort, _) | (Self::Naive, OptionKind::Put) => Some(-open_interest),
            (Self::Naive, OptionKind::Call) => Some(open_interest),
            (Self::TakerFlow, _) => None,
        }
    }
}

/// The side of the one who took liquidity, as venues print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taker {
    /// The taker bought.
    Buy,
    /// The taker sold.
    Sell,
}

/// Dealers' contracts by instrument: minus the net buying of takers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DealerInventory {
    contracts: BTreeMap<String, f64>,
}

impl DealerInventory {
    /// Counts a trade; one whose size is not positive and finite is no trade and is refused with `false`.
    pub fn trade(&mut self, instrument: &str, taker: Taker, contracts: f64) -> bool {
        let sound = contracts > 0.0 && contracts.is_finite();
        if sound {
            let sum = self.contracts.entry(instrument.to_owned()).or_default();
            *sum += match taker {
                Taker::Buy => -contracts,
                Taker::Sell => contracts,
            };
        }
        sound
    }

    /// Dealers' contracts of an instrument, 0 if it never traded.
    #[must_use]
    pub fn contracts(&self, instrument: &str) -> f64 {
        self.contracts.get(instrument).copied().unwrap_or(0.0)
    }

    /// The same within what is open: trades that closed positions count too, so the sum may exceed it.
    #[must_use]
    pub fn within(&self, instrument: &str, open_interest: f64) -> f64 {
        let limit = open_interest.max(0.0);
        self.contracts(instrument).clamp(-limit, limit)
    }
}
