use super::*;

/// Every combination of the twenty flags, contradictory ones included.
fn every(mut check: impl FnMut(MdiaFlags, WhaleFlags, LongShortFlags)) {
    for bits in 0_u32..1 << 20 {
        let mdia = MdiaFlags::from_bits(bits);
        let whales = WhaleFlags::from_bits(bits >> 3);
        let ls = LongShortFlags::from_bits(bits >> 10);
        check(mdia, whales, ls);
    }
}

/// The table written a second time, rule by rule, as sets of conditions.
fn by_the_table(m: MdiaFlags, w: WhaleFlags, l: LongShortFlags, rules: Rules) -> MarketState {
    use MarketState as S;
    let v2 = rules == Rules::V2;
    let inflow = m.inflow | m.strong_inflow;
    let sponsored = w.broad_accumulation | w.strategic_accumulation;
    let distrib = w.distribution | w.strong_distribution;
    let bull = l.call_confirm | l.recovery | l.trend | l.weak_uptrend;
    let bear = l.put_confirm | l.bear | l.rollover | l.weak_downtrend | l.distribution_warning;
    let soft = l.rollover | l.weak_downtrend | l.distribution_warning;
    let table = [
        (
            S::StrongBullish,
            m.strong_inflow & sponsored & l.call_confirm,
        ),
        (S::EarlyRecovery, inflow & sponsored & l.recovery),
        (
            S::BearContinuation,
            !inflow & distrib & (l.put_confirm | l.bear),
        ),
        (
            S::DistributionRisk,
            distrib & soft & if v2 { !inflow } else { !m.strong_inflow },
        ),
        (
            S::Momentum,
            inflow
                & !distrib
                & (l.trend | l.weak_uptrend)
                & if v2 { !w.retail_trap } else { !sponsored },
        ),
        (S::BullProbe, inflow & sponsored & !bull & !bear),
        (S::BearProbe, m.distribution & distrib & !bull & !bear),
    ];
    table
        .iter()
        .find(|(_, on)| *on)
        .map_or(S::NoTrade, |(state, _)| *state)
}

#[test]
fn truth_table_over_every_flag() {
    let mut seen = std::collections::BTreeSet::new();
    every(|m, w, l| {
        for rules in [Rules::Legacy, Rules::V2] {
            let found = state(m, w, l, rules);
            assert_eq!(
                found,
                by_the_table(m, w, l, rules),
                "{rules:?} {m:?} {w:?} {l:?}"
            );
            seen.insert(found);
        }
    });
    assert_eq!(seen.len(), 8, "every state can be reached");
}

#[test]
fn conflicts_never_gate_the_state_and_never_strengthen_it() {
    every(|m, w, l| {
        let calm_whales = WhaleFlags {
            mega_conflict: false,
            small_conflict: false,
            ..w
        };
        let calm_ls = LongShortFlags {
            conflict: false,
            ..l
        };
        assert_eq!(
            state(m, w, l, Rules::V2),
            state(m, calm_whales, calm_ls, Rules::V2)
        );
        let (noisy, calm) = (
            score(m, w, l, Rules::V2),
            score(m, calm_whales, calm_ls, Rules::V2),
        );
        assert!(
            noisy.abs() <= calm.abs() && noisy * calm >= 0,
            "{noisy} {calm}"
        );
    });
}

#[test]
fn sponsors_never_make_a_trend_weaker() {
    let rank = |state: MarketState| match state {
        MarketState::StrongBullish | MarketState::EarlyRecovery => 2,
        MarketState::Momentum => 1,
        _ => 0,
    };
    every(|m, w, l| {
        let unsponsored = WhaleFlags {
            broad_accumulation: false,
            strategic_accumulation: false,
            ..w
        };
        if (l.trend || l.weak_uptrend) && !w.distribution && !w.strong_distribution {
            let with = state(m, w, l, Rules::V2);
            let without = state(m, unsponsored, l, Rules::V2);
            assert!(rank(with) >= rank(without), "{with:?} {without:?}");
        }
    });
    // The hole of the first table.
    let m = MdiaFlags {
        inflow: true,
        ..MdiaFlags::default()
    };
    let w = WhaleFlags {
        broad_accumulation: true,
        ..WhaleFlags::default()
    };
    let l = LongShortFlags {
        call_confirm: true,
        trend: true,
        ..LongShortFlags::default()
    };
    assert_eq!(state(m, w, l, Rules::Legacy), MarketState::NoTrade);
    assert_eq!(state(m, w, l, Rules::V2), MarketState::Momentum);
}

fn fuse_all(m: MdiaFlags, w: WhaleFlags, l: LongShortFlags, rules: Rules) -> Fusion {
    fuse(
        &Evidence {
            mdia: Some(m),
            whales: Some(w),
            long_short: Some(l),
        },
        rules,
    )
}

#[test]
fn shorts_can_be_confident() {
    let m = MdiaFlags {
        distribution: true,
        ..MdiaFlags::default()
    };
    let w = WhaleFlags {
        distribution: true,
        strong_distribution: true,
        ..WhaleFlags::default()
    };
    let l = LongShortFlags {
        put_confirm: true,
        bear: true,
        ..LongShortFlags::default()
    };
    let short = fuse_all(m, w, l, Rules::V2);
    assert_eq!(
        (short.state, short.score),
        (MarketState::BearContinuation, Some(-5))
    );
    assert_eq!((short.confidence, short.size), (Confidence::High, 1.0));
    assert_eq!(fuse_all(m, w, l, Rules::Legacy).confidence, Confidence::Low);
    let noisy = fuse_all(
        m,
        w,
        LongShortFlags {
            conflict: true,
            ..l
        },
        Rules::V2,
    );
    assert_eq!(noisy.score, Some(-4));
}

#[test]
fn probes_have_a_gate_and_a_cap() {
    let l = LongShortFlags::default();
    let broad = WhaleFlags {
        broad_accumulation: true,
        ..WhaleFlags::default()
    };
    let strategic = WhaleFlags {
        strategic_accumulation: true,
        ..WhaleFlags::default()
    };
    let strong = MdiaFlags {
        strong_inflow: true,
        inflow: true,
        ..MdiaFlags::default()
    };
    let plain = MdiaFlags {
        inflow: true,
        ..MdiaFlags::default()
    };
    let gated = WhaleFlags {
        mega_conflict: true,
        ..strategic
    };
    for (m, w, size) in [
        (strong, broad, 0.60),
        (strong, strategic, 0.50),
        (plain, strategic, 0.35),
        (plain, gated, 0.0),
    ] {
        let found = fuse_all(m, w, l, Rules::V2);
        assert_eq!((found.state, found.size), (MarketState::BullProbe, size));
        assert_eq!(found.reason == Some(Reason::ProbeGate), size == 0.0);
    }
}

#[test]
fn a_missing_family_is_named_and_never_traded() {
    let evidence = Evidence {
        long_short: Some(LongShortFlags::default()),
        ..Evidence::default()
    };
    let found = fuse(&evidence, Rules::V2);
    assert_eq!((found.state, found.score), (MarketState::NoTrade, None));
    assert_eq!(found.reason.unwrap().text(), "missing: mdia, whales");
}

#[test]
fn no_trade_names_the_family_that_would_unlock_one() {
    let m = MdiaFlags {
        inflow: true,
        ..MdiaFlags::default()
    };
    let found = fuse_all(
        m,
        WhaleFlags::default(),
        LongShortFlags::default(),
        Rules::V2,
    );
    let unlocks = Families {
        mdia: false,
        whales: true,
        long_short: true,
    };
    assert_eq!(found.reason, Some(Reason::NoRule(unlocks)));
}
