//! Fit of a surface SVI to all expiries of one time.

use super::calibrate::{FitError, checked_quotes};
use super::damped::solve_positive;
use super::ssvi::{Phi, Ssvi, variance};

/// Strikes of all expiries together that are needed beyond one for each expiry.
const MIN_SHARED: usize = 4;
const STEPS: usize = 60;
const ENOUGH_GAIN: f64 = 1e-9;
/// Least growth of the at-the-money variance from one expiry to the next, relative.
const GROWTH_MIN: f64 = 1e-9;

/// Quotes of one expiry.
#[derive(Clone, Copy, Debug)]
pub struct SsviQuotes<'a> {
    /// Time to expiry, years.
    pub expiry_years: f64,
    /// Log moneyness.
    pub k: &'a [f64],
    /// Volatility, fraction per square root of a year.
    pub iv: &'a [f64],
    /// Precision of the volatility, any unit common to all expiries; zero is ignored.
    pub weight: &'a [f64],
}

/// A fitted surface.
#[derive(Clone, Debug, PartialEq)]
pub struct SsviFit {
    /// The shared parameters, of the power-law family that is free of static arbitrage.
    pub ssvi: Ssvi,
    /// At-the-money total variance of every expiry, in the order of the input; rises with expiry.
    pub theta: Vec<f64>,
    /// Unweighted root mean square error in volatility of every expiry.
    pub rmse_vol: Vec<f64>,
}

/// One expiry's prepared quotes: log moneyness, volatility, square root of the weight's share.
struct Expiry {
    years: f64,
    quotes: Vec<(f64, f64, f64)>,
}

/// Fits `rho`, `eta`, `gamma` and one `theta` an expiry to the quotes of all expiries together.
///
/// The power-law curvature is searched only where theorem 4.2 and remark 4.4 exclude static arbitrage
/// (`eta (1 + |rho|) <= 2`, `gamma <= 1/2`, rising `theta`), so the answer needs no repair. Damped
/// Gauss-Newton steps on the weighted error of volatility; the `theta`s are eliminated from every step.
///
/// # Errors
/// [`FitError`]; [`FitError::TooFewQuotes`] unless every expiry has a weighted quote and all together
/// have four strikes more than there are expiries. Expiries must differ ([`FitError::BadExpiry`]).
pub fn fit_ssvi(expiries: &[SsviQuotes]) -> Result<SsviFit, FitError> {
    let mut rows = Vec::with_capacity(expiries.len());
    for e in expiries {
        rows.push(checked_quotes(e.k, e.iv, e.weight, e.expiry_years, 1)?);
    }
    let count: usize = rows.iter().map(Vec::len).sum();
    if rows.is_empty() || count < rows.len() + MIN_SHARED {
        return Err(FitError::TooFewQuotes);
    }
    let weights: f64 = rows.iter().flatten().map(|r| r.2).sum();
    let mut order: Vec<usize> = (0..expiries.len()).collect();
    order.sort_by(|&i, &j| {
        expiries[i]
            .expiry_years
            .total_cmp(&expiries[j].expiry_years)
    });
    let same = |pair: &[usize]| expiries[pair[0]].expiry_years == expiries[pair[1]].expiry_years;
    if order.windows(2).any(same) {
        return Err(FitError::BadExpiry);
    }
    let prepared: Vec<Expiry> = order
        .iter()
        .map(|&i| Expiry {
            years: expiries[i].expiry_years,
            quotes: rows[i]
                .iter()
                .map(|r| (r.0, r.1, (r.2 / weights).sqrt()))
                .collect(),
        })
        .collect();
    let mut best: Option<State> = None;
    for tilt in [-0.3, 0.2] {
        let found = descend(&prepared, State::start(&prepared, tilt));
        if found
            .as_ref()
            .is_some_and(|f| best.as_ref().is_none_or(|b| f.sum < b.sum))
        {
            best = found;
        }
    }
    let best = best.ok_or(FitError::NoFit)?;
    let ssvi = best.ssvi();
    let mut fit = SsviFit {
        ssvi,
        theta: vec![0.0; order.len()],
        rmse_vol: vec![0.0; order.len()],
    };
    for ((&i, e), &theta) in order.iter().zip(&prepared).zip(&best.theta) {
        let phi = ssvi.phi.at(theta);
        let miss =
            |q: &(f64, f64, f64)| (variance(theta, ssvi.rho, phi, q.0) / e.years).sqrt() - q.1;
        let squares: f64 = e.quotes.iter().map(|q| miss(q) * miss(q)).sum();
        fit.theta[i] = theta;
        fit.rmse_vol[i] = (squares / e.quotes.len() as f64).sqrt();
    }
    let sound = fit.theta.iter().chain(&fit.rmse_vol).all(|x| x.is_finite());
    if sound { Ok(fit) } else { Err(FitError::NoFit) }
}

/// A point of the search.
#[derive(Clone)]
struct State {
    theta: Vec<f64>,
    /// Unbounded forms of rho, eta and gamma.
    shared: [f64; 3],
    sum: f64,
}

impl State {
    fn start(expiries: &[Expiry], tilt: f64) -> Self {
        let level = |e: &Expiry| {
            let near = e
                .quotes
                .iter()
                .min_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
            near.map_or(0.0, |q| q.1 * q.1 * e.years)
        };
        Self {
            theta: rising(expiries.iter().map(level)),
            shared: [tilt, 0.5, 1.0],
            sum: f64::INFINITY,
        }
    }

    fn ssvi(&self) -> Ssvi {
        let sigmoid = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        let rho = 0.9999 * libm::tanh(self.shared[0]);
        Ssvi {
            rho,
            phi: Phi::Power {
                eta: (2.0 * sigmoid(self.shared[1]) / (1.0 + rho.abs())).max(1e-12),
                gamma: 0.5 * sigmoid(self.shared[2]),
            },
        }
    }

    fn measure(mut self, expiries: &[Expiry]) -> Option<Self> {
        let ssvi = self.ssvi();
        let mut sum = 0.0;
        for (e, &theta) in expiries.iter().zip(&self.theta) {
            let phi = ssvi.phi.at(theta);
            for &(k, vol, root) in &e.quotes {
                let miss = root * ((variance(theta, ssvi.rho, phi, k) / e.years).sqrt() - vol);
                sum += miss * miss;
            }
        }
        self.sum = sum;
        sum.is_finite().then_some(self)
    }
}

/// Each value, or a little more than the one before it.
fn rising(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut least = 1e-12_f64;
    values
        .map(|value| {
            let value = value.max(least);
            least = value * (1.0 + GROWTH_MIN);
            value
        })
        .collect()
}

/// Normal equations of a step: of every expiry the square, the products with the shared unknowns and
/// with the residuals; of the shared unknowns theirs.
struct Normal {
    own: Vec<(f64, [f64; 3], f64)>,
    shared: [[f64; 3]; 3],
    right: [f64; 3],
}

fn normal(expiries: &[Expiry], state: &State) -> Normal {
    const STEP: f64 = 1e-6;
    let base = state.ssvi();
    let moved: [Ssvi; 3] = std::array::from_fn(|i| {
        let mut other = state.clone();
        other.shared[i] += STEP;
        other.ssvi()
    });
    let mut out = Normal {
        own: Vec::with_capacity(expiries.len()),
        shared: [[0.0; 3]; 3],
        right: [0.0; 3],
    };
    for (e, &theta) in expiries.iter().zip(&state.theta) {
        let phi = base.phi.at(theta);
        let phis = moved.map(|m| m.phi.at(theta));
        // theta moves in its logarithm.
        let up = theta * (1.0 + STEP);
        let phi_up = base.phi.at(up);
        let mut own = (0.0, [0.0; 3], 0.0);
        for &(k, vol, root) in &e.quotes {
            let of = |w: f64| (w / e.years).sqrt();
            let here = of(variance(theta, base.rho, phi, k));
            let miss = root * (here - vol);
            let by_theta = root * (of(variance(up, base.rho, phi_up, k)) - here) / STEP;
            let by: [f64; 3] = std::array::from_fn(|i| {
                root * (of(variance(theta, moved[i].rho, phis[i], k)) - here) / STEP
            });
            own.0 += by_theta * by_theta;
            own.2 -= by_theta * miss;
            for i in 0..3 {
                own.1[i] += by_theta * by[i];
                out.right[i] -= by[i] * miss;
                for j in 0..3 {
                    out.shared[i][j] += by[i] * by[j];
                }
            }
        }
        out.own.push(own);
    }
    out
}

impl Normal {
    /// The damped step: of the shared unknowns, and of the logarithm of every theta.
    fn step(&self, damping: f64) -> Option<([f64; 3], Vec<f64>)> {
        let mut reduced = self.shared;
        for (i, row) in reduced.iter_mut().enumerate() {
            row[i] += damping * row[i].max(1e-12);
        }
        let mut right = self.right;
        let pivot = |own: f64| own * (1.0 + damping) + 1e-300;
        for (own, by, rest) in &self.own {
            for i in 0..3 {
                right[i] -= by[i] * rest / pivot(*own);
                for j in 0..3 {
                    reduced[i][j] -= by[i] * by[j] / pivot(*own);
                }
            }
        }
        let shared = solve_positive(reduced, right)?;
        let back = |(own, by, rest): &(f64, [f64; 3], f64)| {
            let known: f64 = by.iter().zip(&shared).map(|(a, b)| a * b).sum();
            (rest - known) / pivot(*own)
        };
        Some((shared, self.own.iter().map(back).collect()))
    }
}

fn descend(expiries: &[Expiry], start: State) -> Option<State> {
    let mut best = start.measure(expiries)?;
    let mut equations = normal(expiries, &best);
    let mut damping = 1e-3;
    for _ in 0..STEPS {
        let next = equations.step(damping).and_then(|(shared, own)| {
            let moved = best
                .theta
                .iter()
                .zip(own)
                .map(|(t, d)| t * libm::exp(d.clamp(-2.0, 2.0)));
            let next = State {
                theta: rising(moved),
                shared: std::array::from_fn(|i| (best.shared[i] + shared[i]).clamp(-20.0, 20.0)),
                sum: f64::INFINITY,
            };
            next.measure(expiries).filter(|next| next.sum < best.sum)
        });
        if let Some(next) = next {
            let gain = 1.0 - next.sum / best.sum;
            best = next;
            damping = (damping * 0.2).max(1e-12);
            if gain < ENOUGH_GAIN {
                break;
            }
            equations = normal(expiries, &best);
        } else {
            damping *= 6.0;
            if damping > 1e12 {
                break;
            }
        }
    }
    Some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_surface_is_found_again() {
        let truth = Ssvi {
            rho: -0.35,
            phi: Phi::Power {
                eta: 1.1,
                gamma: 0.4,
            },
        };
        let years = [0.02, 0.1, 0.25, 0.5];
        let thetas = [0.006, 0.03, 0.08, 0.17];
        let k: Vec<f64> = (0..13).map(|i| f64::from(i - 6) * 0.04).collect();
        let iv: Vec<Vec<f64>> = years
            .iter()
            .zip(thetas)
            .map(|(t, theta)| {
                let vol = |k: &f64| (truth.total_variance(theta, *k).unwrap() / t).sqrt();
                k.iter().map(vol).collect()
            })
            .collect();
        let weight = vec![1.0; k.len()];
        let quotes: Vec<SsviQuotes> = years
            .iter()
            .zip(&iv)
            .map(|(t, iv)| SsviQuotes {
                expiry_years: *t,
                k: &k,
                iv,
                weight: &weight,
            })
            .collect();
        let mut backwards = quotes.clone();
        backwards.reverse();
        let fit = fit_ssvi(&quotes).unwrap();
        assert!(fit.rmse_vol.iter().all(|e| *e < 1e-6), "{fit:?}");
        assert!((fit.ssvi.rho + 0.35).abs() < 1e-4, "{fit:?}");
        let other = fit_ssvi(&backwards).unwrap();
        assert_eq!(
            other.theta.iter().rev().copied().collect::<Vec<_>>(),
            fit.theta
        );
        for theta in &fit.theta {
            let sound = fit.ssvi.conditions(*theta).unwrap();
            assert!(sound.butterfly_free && sound.calendar_free);
        }
    }

    #[test]
    fn too_little_and_twice_the_same_are_typed_errors() {
        let one = SsviQuotes {
            expiry_years: 0.1,
            k: &[0.0, 0.1],
            iv: &[0.5, 0.6],
            weight: &[1.0, 1.0],
        };
        assert_eq!(fit_ssvi(&[one]), Err(FitError::TooFewQuotes));
        assert_eq!(fit_ssvi(&[]), Err(FitError::TooFewQuotes));
        let wide = SsviQuotes {
            k: &[-0.2, -0.1, 0.0, 0.1, 0.2],
            iv: &[0.5; 5],
            weight: &[1.0; 5],
            ..one
        };
        assert_eq!(fit_ssvi(&[wide, wide]), Err(FitError::BadExpiry));
        let flat = fit_ssvi(&[wide]).unwrap();
        assert!(flat.rmse_vol[0] < 1e-3, "{flat:?}");
    }
}
