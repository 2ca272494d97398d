//! When a row could have been known.

use lakectl_core::UtcTime;

/// Where a row's `known_at` comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The vendor says when the value became available.
    Vendor,
    /// The end of what the row describes plus the dataset's declared lag.
    Lag,
    /// The time the document was recorded: the value may have been known earlier, but nothing shows it.
    Backfill,
}

impl Basis {
    /// Returns the word stored in `known_at_basis`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Vendor => "vendor",
            Self::Lag => "lag",
            Self::Backfill => "backfill",
        }
    }
}

/// The rule of one document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Availability {
    /// Length of what a row describes, zero for an instant; microseconds.
    pub(crate) width: i64,
    /// Declared delay after its end; microseconds.
    pub(crate) lag: i64,
    /// When the document was recorded.
    pub(crate) document_time: UtcTime,
    /// The lag may stand in although the document was recorded later.
    pub(crate) assumed: bool,
}

impl Availability {
    /// Returns when what begins at `event_time` is over.
    pub(crate) fn end(&self, event_time: UtcTime) -> UtcTime {
        plus(event_time, self.width)
    }

    /// Derives `known_at`. It is never before the end of what the row describes, nor before `known_after`, the time of the
    /// youngest ingredient when the row says so.
    pub(crate) fn derive(
        &self,
        event_time: UtcTime,
        vendor_time: Option<UtcTime>,
        known_after: Option<UtcTime>,
    ) -> (UtcTime, Basis) {
        let end = self.end(event_time);
        let floor = known_after.map_or(end, |after| after.max(end));
        if let Some(vendor) = vendor_time {
            return (vendor.max(floor), Basis::Vendor);
        }
        let known = plus(end, self.lag).max(floor);
        if self.document_time > known && !self.assumed {
            (self.document_time, Basis::Backfill)
        } else {
            (known, Basis::Lag)
        }
    }
}

const fn plus(time: UtcTime, micros: i64) -> UtcTime {
    UtcTime::from_micros(time.micros().saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_basis() {
        let at = |text: &str| text.parse::<UtcTime>().unwrap();
        let hour = 3_600_000_000;
        let rule = |assumed| Availability {
            width: 24 * hour,
            lag: 4 * hour,
            document_time: at("2026-03-23"),
            assumed,
        };
        let day = at("2026-01-05");
        let lagged = (at("2026-01-06T04:00:00Z"), Basis::Lag);
        assert_eq!(rule(true).derive(day, None, None), lagged);
        assert_eq!(
            rule(false).derive(day, None, None),
            (at("2026-03-23"), Basis::Backfill)
        );
        let vendor = Some(at("2026-01-06T05:30:00Z"));
        assert_eq!(
            rule(false).derive(day, vendor, None),
            (at("2026-01-06T05:30:00Z"), Basis::Vendor)
        );
        // A vendor time inside the day it describes cannot be true.
        let early = Some(at("2026-01-05T05:30:00Z"));
        assert_eq!(
            rule(false).derive(day, early, None),
            (at("2026-01-06"), Basis::Vendor)
        );
        // Recorded before the lag is over: the lag stands.
        let recent = at("2026-03-22");
        assert_eq!(
            rule(false).derive(recent, None, None),
            (at("2026-03-23T04:00:00Z"), Basis::Lag)
        );
        let candle_end = Some(at("2026-01-08"));
        assert_eq!(
            rule(true).derive(day, None, candle_end),
            (at("2026-01-08"), Basis::Lag)
        );
    }
}
