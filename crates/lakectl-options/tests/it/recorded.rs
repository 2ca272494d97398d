//! Published slices, models and nodes on recorded Deribit chains. Reads a dozen snapshots;
//! `LAKE_TEST_SNAPSHOTS=450` reads them all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lakectl_options::slices::{
    FittedSlice, PublishedSlice, SliceQuote, SliceQuotes, fit_slice, publish,
};
use lakectl_options::smile::{Range, SabrFormula, Smile, SsviQuotes, change, fit_sabr, fit_ssvi};
use lakectl_options::surface::{Slice, Surface};

use crate::chains::{Chain, read, recorded};

/// Everything that is printed and held against the bounds.
#[derive(Default)]
struct Figures {
    chains: usize,
    published: usize,
    butterfly_free: usize,
    butterfly_free_everywhere: usize,
    pairs: usize,
    calendar_free: usize,
    repaired: usize,
    lifted: usize,
    cost: Vec<f64>,
    rmse: Vec<f64>,
    inside: Vec<f64>,
    mark_inside: Vec<f64>,
    left_out: Vec<f64>,
    reach: Vec<f64>,
    moved: Vec<f64>,
    reshaped: Vec<f64>,
    sabr: Vec<f64>,
    ssvi: Vec<f64>,
    delta_gap: Vec<f64>,
    levels: Vec<Option<f64>>,
    spent: Duration,
    snapshots: u32,
}

fn quotes(chain: &Chain) -> SliceQuotes {
    let usable = chain
        .quotes
        .iter()
        .filter(|q| q.out_of_the_money)
        .filter_map(|q| {
            let sides = match (q.two_sided, q.bid_iv, q.ask_iv) {
                (true, bid, Some(ask)) => Some((bid.unwrap_or(0.0), ask)),
                _ => None,
            };
            SliceQuote::usable(q.k, q.mark_iv, q.delta, q.vega / chain.forward, sides)
        });
    SliceQuotes {
        expiry_years: chain.years,
        quotes: usable.collect(),
    }
}

impl Figures {
    fn snapshot(&mut self, chains: &[&Chain], before: &mut BTreeMap<i64, (FittedSlice, f64)>) {
        let slices: Vec<SliceQuotes> = chains.iter().map(|chain| quotes(chain)).collect();
        let start = Instant::now();
        let fits: Vec<_> = slices.iter().map(fit_slice).collect();
        let published = publish(&slices, &fits, |_| None);
        let fitted = chains.iter().zip(&published).filter_map(|(chain, slice)| {
            let slice = slice.as_ref().ok()?;
            Some(Slice {
                expiry_years: chain.years,
                forward: chain.forward,
                svi: slice.svi,
                quoted: slice.certificate.fitted,
            })
        });
        let surface = Surface::new(fitted.collect()).unwrap();
        self.levels.push(surface.nodes().level());
        self.spent += start.elapsed();
        self.snapshots += 1;
        for ((chain, slice), fit) in chains.iter().zip(&published).zip(&fits) {
            self.slice(chain, slice.as_ref().ok());
            if let Ok(fit) = fit {
                let now = (*fit, chain.years);
                let earlier = before.insert(chain.expiry_micros, now);
                if let Some((earlier, years)) = earlier
                    && let Some(range) = earlier.range.common(fit.range)
                {
                    let moved = change((&earlier.svi, years), (&fit.svi, chain.years), range);
                    self.moved.extend(moved.map(|c| c.level_vol.abs()));
                    self.reshaped.extend(moved.map(|c| c.shape_vol));
                }
            }
        }
        self.models(chains, &slices);
    }

    fn slice(&mut self, chain: &Chain, slice: Option<&PublishedSlice>) {
        let gap = |q: &crate::chains::Quote| (q.delta - q.venue_delta).abs();
        let near = chain
            .quotes
            .iter()
            .filter(|q| (0.02..0.98).contains(&q.delta.abs()));
        self.delta_gap.extend(near.map(gap));
        let measured: Vec<_> = chain.measured().collect();
        if measured.is_empty() {
            return;
        }
        self.chains += 1;
        let Some(slice) = slice else { return };
        self.published += 1;
        let certificate = &slice.certificate;
        self.butterfly_free += usize::from(certificate.free_fitted);
        self.butterfly_free_everywhere += usize::from(certificate.free);
        self.repaired += usize::from(slice.mending.cost_vol > 0.0 || slice.mending.calendar);
        self.lifted += usize::from(slice.mending.calendar);
        if slice.mending.cost_vol != 0.0 {
            self.cost.push(slice.mending.cost_vol);
        }
        if let Some(calendar) = &slice.calendar {
            self.pairs += 1;
            self.calendar_free += usize::from(calendar.free);
        }
        let count = measured.len() as f64;
        let vol = |k: f64| slice.svi.vol(k, chain.years).unwrap();
        let squares: f64 = measured
            .iter()
            .map(|q| (vol(q.k) - q.mark_iv).powi(2))
            .sum();
        self.rmse.push((squares / count).sqrt());
        let holds = |q: &&&crate::chains::Quote, vol: f64| {
            q.bid_iv.unwrap_or(0.0) <= vol && vol <= q.ask_iv.unwrap_or(f64::INFINITY)
        };
        let share = |of: &dyn Fn(&crate::chains::Quote) -> f64| {
            measured.iter().filter(|q| holds(q, of(q))).count() as f64 / count
        };
        self.inside.push(share(&|q| vol(q.k)));
        self.mark_inside.push(share(&|q| q.mark_iv));
        self.left_out
            .extend(slice.quality.and_then(|q| q.leave_one_out_vol));
        let Range { low, high } = certificate.fitted;
        let deviation = slice.svi.total_variance(0.0).sqrt();
        self.reach.push((high - low) / deviation);
    }

    fn models(&mut self, chains: &[&Chain], slices: &[SliceQuotes]) {
        let column = |slice: &SliceQuotes, pick: fn(&SliceQuote) -> f64| {
            slice.quotes.iter().map(pick).collect::<Vec<f64>>()
        };
        let columns: Vec<[Vec<f64>; 3]> = slices
            .iter()
            .map(|s| {
                [
                    column(s, |q| q.k),
                    column(s, |q| q.vol),
                    column(s, |q| q.weight),
                ]
            })
            .collect();
        for (chain, [k, iv, weight]) in chains.iter().zip(&columns) {
            let fit = fit_sabr(
                k,
                iv,
                weight,
                chain.forward,
                chain.years,
                1.0,
                SabrFormula::Hagan,
            );
            self.sabr.extend(fit.ok().map(|fit| fit.rmse_vol));
        }
        let of = |(slice, [k, iv, weight]): (&SliceQuotes, &'_ [Vec<f64>; 3])| {
            (slice.expiry_years, k.clone(), iv.clone(), weight.clone())
        };
        let owned: Vec<_> = slices.iter().zip(&columns).map(of).collect();
        let all: Vec<SsviQuotes> = owned
            .iter()
            .map(|(expiry_years, k, iv, weight)| SsviQuotes {
                expiry_years: *expiry_years,
                k,
                iv,
                weight,
            })
            .collect();
        self.ssvi.extend(fit_ssvi(&all).unwrap().rmse_vol);
    }
}

fn share(list: &mut [f64], part: f64) -> f64 {
    list.sort_by(f64::total_cmp);
    list.get(((list.len().max(1) - 1) as f64 * part) as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

fn mean(list: &[f64]) -> f64 {
    list.iter().sum::<f64>() / list.len() as f64
}

#[test]
fn published_slices_hold_what_the_certificate_says() {
    let Some(paths) = recorded() else { return };
    let mut f = Figures::default();
    let mut before: BTreeMap<String, BTreeMap<i64, (FittedSlice, f64)>> = BTreeMap::new();
    for path in paths {
        let mut assets: BTreeMap<String, Vec<Chain>> = BTreeMap::new();
        for chain in read(&path) {
            if chain.years * 365.0 > 1.0 {
                assets.entry(chain.asset.clone()).or_default().push(chain);
            }
        }
        for (asset, chains) in assets {
            let chains: Vec<&Chain> = chains.iter().collect();
            f.snapshot(&chains, before.entry(asset).or_default());
        }
    }
    report(&mut f);
    assert!(f.published as f64 >= 0.99 * f.chains as f64);
    assert!(share(&mut f.rmse, 0.5) <= 0.0033);
    assert!(mean(&f.inside) >= 0.93);
    assert_eq!(f.butterfly_free, f.published);
    assert!(f.calendar_free as f64 >= 0.99 * f.pairs as f64);
    assert!(share(&mut f.delta_gap, 0.5) <= 0.0005 && share(&mut f.delta_gap, 0.9) <= 0.004);
    assert!(
        f.levels
            .iter()
            .all(|level| level.is_some_and(|v| (0.1..2.0).contains(&v)))
    );
}

fn report(f: &mut Figures) {
    let points = |list: &mut Vec<f64>| {
        let at = [0.5, 0.9, 1.0].map(|p| 100.0 * share(list, p));
        format!(
            "median {:.3}, 90 % below {:.3}, worst {:.3}",
            at[0], at[1], at[2]
        )
    };
    eprintln!(
        "slices: {} of {} published in {} snapshots of one asset",
        f.published, f.chains, f.snapshots
    );
    eprintln!("rmse against the mark, vol points: {}", points(&mut f.rmse));
    eprintln!(
        "inside bid and ask: {:.4} of a slice on average (the mark itself {:.4})",
        mean(&f.inside),
        mean(&f.mark_inside)
    );
    eprintln!("leave one out, vol points: {}", points(&mut f.left_out));
    eprintln!(
        "fitted range in deviations at the money: median {:.2}, a tenth below {:.2}",
        share(&mut f.reach, 0.5),
        share(&mut f.reach, 0.1)
    );
    eprintln!(
        "butterfly free on the fitted range {}, everywhere {}; calendar free {} of {} pairs",
        f.butterfly_free, f.butterfly_free_everywhere, f.calendar_free, f.pairs
    );
    eprintln!(
        "repaired at a cost: {}, lifted {}; cost, vol points: {}",
        f.repaired,
        f.lifted,
        points(&mut f.cost)
    );
    eprintln!(
        "movement to the next snapshot read, vol points: level {}; shape {}",
        points(&mut f.moved),
        points(&mut f.reshaped)
    );
    eprintln!(
        "sabr rmse, vol points: {}; ssvi: {}",
        points(&mut f.sabr),
        points(&mut f.ssvi)
    );
    eprintln!(
        "quotes to nodes: {:.2} ms a snapshot of one asset",
        f.spent.as_secs_f64() * 1e3 / f64::from(f.snapshots)
    );
}
