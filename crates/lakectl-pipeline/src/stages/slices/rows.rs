//! Rows of `options.slices` from published slices.

use lakectl_options::slices::{Origin, PublishedSlice, Unpublished};
use lakectl_options::smile::Change;

use super::super::Out;
use super::{Group, Keys, push_all};

/// Rows of `options.slices`, column by column.
#[derive(Default)]
pub(super) struct SliceRows {
    pub(super) keys: Keys,
    parameters: [Vec<Option<f64>>; 6],
    counts: [Vec<Option<i64>>; 2],
    g_min: Vec<Option<f64>>,
    butterfly_free: Vec<Option<bool>>,
    status: Vec<Option<String>>,
    quality: [Vec<Option<f64>>; 8],
    free_fitted: Vec<Option<bool>>,
    wings: [Vec<Option<f64>>; 2],
    lee_ok: Vec<Option<bool>>,
    gaps: [Vec<Option<f64>>; 2],
    crossings: Vec<Option<i64>>,
    calendar_free: Vec<Option<bool>>,
    repair: Vec<Option<String>>,
    costs: [Vec<Option<f64>>; 6],
}

impl SliceRows {
    pub(super) fn push(
        &mut self,
        group: &Group,
        published: &Result<PublishedSlice, Unpublished>,
        moved: Option<(f64, Change)>,
    ) {
        let slice = published.as_ref().ok();
        let quality = slice.and_then(|s| s.quality);
        let svi = slice.map(|s| s.svi);
        let of = |pick: fn(&PublishedSlice) -> f64| slice.map(pick);
        let lowest = slice.and_then(|s| s.certificate.lowest);
        let fitted = slice.and_then(|s| s.certificate.lowest_fitted);
        let calendar = slice.and_then(|s| s.calendar.as_ref());
        let carried = slice.and_then(|s| match s.origin {
            Origin::Fitted => None,
            Origin::Carried { hours, shift_vol } => Some((hours, shift_vol)),
        });
        push_all(
            &mut self.parameters,
            [
                svi.map(|s| s.a),
                svi.map(|s| s.b),
                svi.map(|s| s.rho),
                svi.map(|s| s.m),
                svi.map(|s| s.sigma),
                quality.map(|q| q.rmse_vol),
            ],
        );
        push_all(
            &mut self.counts,
            [Some(group.quotes.len() as i64), Some(group.two_sided)],
        );
        self.g_min.push(lowest.map(|l| l.g));
        self.butterfly_free.push(slice.map(|s| s.certificate.free));
        self.status.push(Some(status(published).to_owned()));
        push_all(
            &mut self.quality,
            [
                quality.map(|q| q.max_error_vol),
                quality.and_then(|q| q.leave_one_out_vol),
                slice.and_then(|s| s.inside_share),
                of(|s| s.certificate.fitted.low),
                of(|s| s.certificate.fitted.high),
                lowest.map(|l| l.k),
                fitted.map(|l| l.g),
                fitted.map(|l| l.k),
            ],
        );
        self.free_fitted
            .push(slice.map(|s| s.certificate.free_fitted));
        push_all(
            &mut self.wings,
            [of(|s| s.certificate.wings.0), of(|s| s.certificate.wings.1)],
        );
        self.lee_ok.push(slice.map(|s| s.certificate.lee_ok));
        push_all(
            &mut self.gaps,
            [calendar.map(|c| c.min_gap), calendar.map(|c| c.argmin)],
        );
        self.crossings
            .push(calendar.map(|c| c.crossings.len() as i64));
        self.calendar_free.push(calendar.map(|c| c.free));
        self.repair.push(slice.map(|s| repair_word(s).to_owned()));
        push_all(
            &mut self.costs,
            [
                of(|s| s.mending.cost_vol),
                carried.map(|c| c.0),
                carried.map(|c| c.1),
                moved.map(|m| m.0),
                moved.map(|m| m.1.level_vol),
                moved.map(|m| m.1.shape_vol),
            ],
        );
    }

    /// All columns in the order of the table.
    pub(super) fn columns(self) -> Vec<Out> {
        let mut columns = self.keys.columns();
        columns.extend(self.parameters.map(Out::F64));
        columns.extend(self.counts.map(Out::I64));
        columns.extend([
            Out::F64(self.g_min),
            Out::Bool(self.butterfly_free),
            Out::Utf8(self.status),
        ]);
        columns.extend(self.quality.map(Out::F64));
        columns.push(Out::Bool(self.free_fitted));
        columns.extend(self.wings.map(Out::F64));
        columns.push(Out::Bool(self.lee_ok));
        columns.extend(self.gaps.map(Out::F64));
        columns.extend([
            Out::I64(self.crossings),
            Out::Bool(self.calendar_free),
            Out::Utf8(self.repair),
        ]);
        columns.extend(self.costs.map(Out::F64));
        columns
    }
}

fn status(published: &Result<PublishedSlice, Unpublished>) -> &'static str {
    match published {
        Ok(slice) if slice.origin == Origin::Fitted => "ok",
        Ok(_) => "carried",
        Err(Unpublished::NoQuotes) => "no_usable_quotes",
        Err(Unpublished::Fit(error)) => error.word(),
    }
}

fn repair_word(slice: &PublishedSlice) -> &'static str {
    match (slice.mending.butterfly, slice.mending.calendar) {
        (false, false) => "none",
        (true, false) => "butterfly",
        (false, true) => "calendar",
        (true, true) => "both",
    }
}
