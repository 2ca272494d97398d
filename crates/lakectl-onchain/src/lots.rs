//! Valuation and age of coins from lots: amounts with the price and the age of their last move.

use thiserror::Error;

/// Age in days from which (included) a coin belongs to a long-term holder.
pub const LONG_TERM_DAYS_MIN: f64 = 155.0;

/// Coins that last moved together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lot {
    /// Coins, at least 0.
    pub amount: f64,
    /// USD per coin when they last moved, above 0.
    pub price_usd: f64,
    /// Days since they last moved, at least 0.
    pub age_days: f64,
}

/// Why a set of lots has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum LotsError {
    /// A lot or the price is negative, zero where it must not be, or not finite.
    #[error("amounts, prices and ages must be finite, amounts and ages at least 0, prices above 0")]
    Domain,
    /// No coin is left to take an average over.
    #[error("no coins in the selected lots")]
    Empty,
}

/// Sums over a set of lots, from which every ratio follows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LotTotals {
    /// Coins.
    pub amount: f64,
    /// USD paid for them when they last moved (realised cap).
    pub realized_cap_usd: f64,
    /// Sum of amount x age, in coin days.
    pub coin_days: f64,
    /// Sum of USD paid x age, in dollar days.
    pub dollar_days: f64,
}

impl LotTotals {
    /// Sums the lots whose age satisfies `keep`, in their order.
    ///
    /// # Errors
    /// [`LotsError::Domain`] if any lot, kept or not, is outside its domain.
    pub fn of(lots: &[Lot], keep: impl Fn(f64) -> bool) -> Result<Self, LotsError> {
        let mut totals = Self::default();
        for lot in lots {
            let sound = lot.amount >= 0.0 && lot.price_usd > 0.0 && lot.age_days >= 0.0;
            let finite =
                lot.amount.is_finite() && lot.price_usd.is_finite() && lot.age_days.is_finite();
            if !sound || !finite {
                return Err(LotsError::Domain);
            }
            if keep(lot.age_days) {
                let paid = lot.amount * lot.price_usd;
                totals.amount += lot.amount;
                totals.realized_cap_usd += paid;
                totals.coin_days += lot.amount * lot.age_days;
                totals.dollar_days += paid * lot.age_days;
            }
        }
        Ok(totals)
    }

    /// Market value over realised value at `price_usd`: 1 is break-even.
    ///
    /// # Errors
    /// [`LotsError::Domain`] for a price that is not above 0, [`LotsError::Empty`] without coins.
    pub fn mvrv(&self, price_usd: f64) -> Result<f64, LotsError> {
        Ok(check_price(price_usd)? * self.amount / self.paid()?)
    }

    /// Net unrealised profit or loss as a share of market value.
    ///
    /// # Errors
    /// As [`LotTotals::mvrv`].
    pub fn nupl(&self, price_usd: f64) -> Result<f64, LotsError> {
        let market_cap = check_price(price_usd)? * self.amount;
        Ok((market_cap - self.paid()?) / market_cap)
    }

    /// USD per coin that its holders paid on average.
    ///
    /// # Errors
    /// [`LotsError::Empty`] without coins.
    pub fn realized_price_usd(&self) -> Result<f64, LotsError> {
        Ok(self.paid()? / self.amount)
    }

    /// Mean age of a coin, in days.
    ///
    /// # Errors
    /// [`LotsError::Empty`] without coins.
    pub fn mean_coin_age_days(&self) -> Result<f64, LotsError> {
        self.paid()?;
        Ok(self.coin_days / self.amount)
    }

    /// Mean dollar invested age, in days: the age of a dollar paid, not of a coin.
    ///
    /// # Errors
    /// [`LotsError::Empty`] without coins.
    pub fn mdia_days(&self) -> Result<f64, LotsError> {
        Ok(self.dollar_days / self.paid()?)
    }

    fn paid(&self) -> Result<f64, LotsError> {
        if self.realized_cap_usd > 0.0 {
            Ok(self.realized_cap_usd)
        } else {
            Err(LotsError::Empty)
        }
    }
}

fn check_price(price_usd: f64) -> Result<f64, LotsError> {
    if price_usd.is_finite() && price_usd > 0.0 {
        Ok(price_usd)
    } else {
        Err(LotsError::Domain)
    }
}

/// MVRV of the coins that moved within the last `days` days (included).
///
/// # Errors
/// As [`LotTotals::mvrv`].
pub fn mvrv_within(lots: &[Lot], price_usd: f64, days: f64) -> Result<f64, LotsError> {
    LotTotals::of(lots, |age| age <= days)?.mvrv(price_usd)
}

/// The long/short difference: MVRV within 365 days less MVRV within 60 days.
///
/// # Errors
/// As [`LotTotals::mvrv`].
pub fn mvrv_long_short_difference(lots: &[Lot], price_usd: f64) -> Result<f64, LotsError> {
    Ok(mvrv_within(lots, price_usd, 365.0)? - mvrv_within(lots, price_usd, 60.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORACLE: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/oracles/onchain_lots.json"
    ));

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() <= 1e-12 * right.abs().max(1.0)
    }

    #[test]
    fn oracle_holds() {
        let oracle: serde_json::Value = serde_json::from_str(ORACLE).unwrap();
        let cases = oracle["cases"].as_array().unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let number = |name: &str| case[name].as_f64().unwrap();
            let lots: Vec<Lot> = case["lots"]
                .as_array()
                .unwrap()
                .iter()
                .map(|lot| Lot {
                    amount: lot["amount"].as_f64().unwrap(),
                    price_usd: lot["price"].as_f64().unwrap(),
                    age_days: lot["age_days"].as_f64().unwrap(),
                })
                .collect();
            let price = number("price");
            let all = LotTotals::of(&lots, |_| true).unwrap();
            let short = LotTotals::of(&lots, |age| age < LONG_TERM_DAYS_MIN).unwrap();
            let long = LotTotals::of(&lots, |age| age >= LONG_TERM_DAYS_MIN).unwrap();
            let found = [
                ("realized_cap", all.realized_cap_usd),
                ("mvrv", all.mvrv(price).unwrap()),
                ("realized_price", all.realized_price_usd().unwrap()),
                ("nupl", all.nupl(price).unwrap()),
                ("mean_coin_age", all.mean_coin_age_days().unwrap()),
                ("mdia_dollar_weighted", all.mdia_days().unwrap()),
                ("mvrv_60d", mvrv_within(&lots, price, 60.0).unwrap()),
                ("mvrv_365d", mvrv_within(&lots, price, 365.0).unwrap()),
                ("sth_mvrv", short.mvrv(price).unwrap()),
                ("lth_mvrv", long.mvrv(price).unwrap()),
            ];
            for (name, value) in found {
                assert!(
                    close(value, number(name)),
                    "{name}: {value} for {}",
                    number(name)
                );
            }
            let difference = mvrv_long_short_difference(&lots, price).unwrap();
            assert!(close(difference, number("mvrv_365d") - number("mvrv_60d")));
        }
    }

    #[test]
    fn nothing_to_average_is_an_error() {
        let old = [Lot {
            amount: 1.0,
            price_usd: 10.0,
            age_days: 400.0,
        }];
        assert_eq!(mvrv_within(&old, 20.0, 60.0), Err(LotsError::Empty));
        assert_eq!(mvrv_within(&old, f64::NAN, 500.0), Err(LotsError::Domain));
        let broken = [Lot {
            amount: -1.0,
            price_usd: 10.0,
            age_days: 1.0,
        }];
        assert_eq!(LotTotals::of(&broken, |_| true), Err(LotsError::Domain));
    }
}
