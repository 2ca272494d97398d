//! The instants of an audit that names none: spread over the derived tables and over the time that each of them covers.

use lakectl_core::{FingerprintBuilder, UtcTime};

/// Chooses `samples` instants inside the ranges, the same ones for the same seed.
///
/// Ranges are taken in turn from equal shares of their list, so that tables of other spans than most are not passed over; an
/// instant may be any microsecond of its range, midnights included by no preference.
pub(super) fn choose(ranges: &[(UtcTime, UtcTime)], samples: usize, seed: u64) -> Vec<UtcTime> {
    let mut instants: Vec<UtcTime> = (0..samples)
        .filter_map(|sample| {
            let drawn = FingerprintBuilder::new("audit instant")
                .field("seed", seed.to_le_bytes())
                .field("sample", (sample as u64).to_le_bytes())
                .finish()
                .seed();
            let share = u128::from(drawn >> 32) + ((sample as u128) << 32);
            let place = (share * ranges.len() as u128 / samples as u128) >> 32;
            let (first, last) = ranges.get(usize::try_from(place).ok()?)?;
            let span = u128::from((last.micros() - first.micros()).unsigned_abs());
            // The low half is independent of the high one.
            let within = (u128::from(drawn & 0xffff_ffff) * span) >> 32;
            Some(UtcTime::from_micros(
                first.micros() + i64::try_from(within).ok()?,
            ))
        })
        .collect();
    instants.sort_unstable();
    instants.dedup();
    instants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_the_same_for_a_seed_and_reach_every_range() {
        let time = UtcTime::from_micros;
        let ranges: Vec<_> = (0..4)
            .map(|i| (time(i * 1_000), time(i * 1_000 + 999)))
            .collect();
        let chosen = choose(&ranges, 8, 1);
        assert_eq!(chosen, choose(&ranges, 8, 1));
        assert_ne!(chosen, choose(&ranges, 8, 2));
        for (first, last) in &ranges {
            let inside = chosen.iter().filter(|t| first <= *t && *t <= last).count();
            assert_eq!(inside, 2, "{chosen:?}");
        }
        assert_eq!(choose(&[], 3, 1), []);
        assert_eq!(choose(&ranges[..1], 0, 1), []);
    }
}
