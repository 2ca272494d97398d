//! On-chain functions: the fusion of families into a market state, and divergence classes.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use lakectl_onchain::divergence::{Observation, classify};
use lakectl_onchain::fusion::{
    Evidence, Fusion, LongShortFlags, MdiaFlags, Rules, WhaleFlags, fuse,
};

use super::FunctionInfo;
use super::aggregate::AggregateSpec;
use super::scalar::{Arg, Body, ScalarSpec};

const FUSION_ARGS: &[Arg] = &[Arg::Number; 4];

pub(super) static SCALARS: &[ScalarSpec] = &[
    ScalarSpec {
        info: FunctionInfo {
            name: "fusion",
            version: 1,
            signature: "fusion(mdia, whales, long_short[, rules]) -> struct(score, direction, size)",
            doc: "Score, direction (+1 long, -1 short, 0 none) and size (0 to 1) of the fused market state. Each \
                  family is its flags packed into an integer, first flag = 1. mdia: strong inflow, inflow, \
                  distribution. whales: broad accumulation, strategic accumulation, distribution, strong \
                  distribution, retail trap, mega conflict, small conflict. long_short: call confirmed, recovery, \
                  trend, weak uptrend, put confirmed, bear, rollover, weak downtrend, distribution warning, \
                  conflict. rules: 2 (default) or 1 for the first rule table. Null if a family is null.",
            example: "fusion(floor(abs(x)), floor(abs(y * 1000)), floor(abs(k * 1000)))",
        },
        args: FUSION_ARGS,
        required: 3,
        body: Body::Record(&["score", "direction", "size"], |args, out| {
            let fused = fused(args)?;
            out[0] = fused.score? as f64;
            out[1] = fused.state.direction() as f64;
            out[2] = fused.size;
            Some(())
        }),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "fusion_state",
            version: 1,
            signature: "fusion_state(mdia, whales, long_short[, rules]) -> text",
            doc: "State of the first matching fusion rule: strong_bullish, early_recovery, bear_continuation, \
                  distribution_risk, momentum, bull_probe, bear_probe or no_trade. Arguments as for `fusion`; \
                  `missing_input` if a family is null, `bad_input` if one is not a whole number.",
            example: "fusion_state(floor(abs(x)), floor(abs(y * 1000)), floor(abs(k * 1000)))",
        },
        args: FUSION_ARGS,
        required: 3,
        body: Body::Word(|args| fused(args).map_or("bad_input", |f| f.state.name())),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "fusion_confidence",
            version: 1,
            signature: "fusion_confidence(mdia, whales, long_short[, rules]) -> text",
            doc: "Confidence of the fused state, `low`, `medium` or `high`: the score in the direction of the trade, \
                  from 2 and from 4. Arguments and other answers as for `fusion_state`.",
            example: "fusion_confidence(floor(abs(x)), floor(abs(y * 1000)), floor(abs(k * 1000)))",
        },
        args: FUSION_ARGS,
        required: 3,
        body: Body::Word(|args| fused(args).map_or("bad_input", |f| f.confidence.name())),
    },
    ScalarSpec {
        info: FunctionInfo {
            name: "fusion_reason",
            version: 1,
            signature: "fusion_reason(mdia, whales, long_short[, rules]) -> text",
            doc: "Why there is no trade, with the families that alone could have unlocked one, or why a probe has \
                  size 0; an empty text otherwise. Arguments and other answers as for `fusion_state`.",
            example: "fusion_reason(floor(abs(x)), floor(abs(y * 1000)), floor(abs(k * 1000)))",
        },
        args: FUSION_ARGS,
        required: 3,
        body: Body::Word(|args| {
            fused(args).map_or("bad_input", |f| f.reason.map_or("", |reason| reason.text()))
        }),
    },
];

pub(super) static AGGREGATES: &[AggregateSpec] = &[AggregateSpec {
    info: FunctionInfo {
        name: "divergence_class",
        version: 1,
        signature: "divergence_class(score, call, elasticity, pressure[, band]) -> text",
        doc: "Class of the frame's last row: hedge_demand (score > 1.5), underpriced_crash_risk (score < -1.5), \
              breakout_risk (call > 1, elasticity < -1, pressure < 0.5) or balanced. A class is left when its \
              condition fails by more than band (default 0.25); memory begins balanced at the frame's first row and \
              after a row without a score. Null if the last row has no score.",
        example: "divergence_class(x, y, x, y) OVER (ORDER BY event_time ROWS BETWEEN 19 PRECEDING AND CURRENT ROW)",
    },
    args: 5,
    required: 4,
    ordered: true,
    output: || DataType::Utf8,
    evaluate: class_of_last,
}];

fn fused(args: &[f64]) -> Option<Fusion> {
    let bits = |i: usize| {
        args.get(i)
            .copied()
            .filter(|v| v.fract() == 0.0 && (0.0..1024.0).contains(v))
    };
    let rules = match args.get(3) {
        Some(1.0) => Rules::Legacy,
        None | Some(2.0) => Rules::V2,
        Some(_) => return None,
    };
    let evidence = Evidence {
        mdia: Some(MdiaFlags::from_bits(bits(0)? as u32)),
        whales: Some(WhaleFlags::from_bits(bits(1)? as u32)),
        long_short: Some(LongShortFlags::from_bits(bits(2)? as u32)),
    };
    Some(fuse(&evidence, rules))
}

fn class_of_last(columns: &[&[f64]]) -> Result<ScalarValue> {
    let present = |column: usize, row: usize| Some(columns[column][row]).filter(|v| !v.is_nan());
    let rows = columns.first().map_or(0, |scores| scores.len());
    let days: Vec<Observation> = (0..rows)
        .map(|row| Observation {
            score: present(0, row),
            call: present(1, row),
            elasticity: present(2, row),
            pressure: present(3, row),
        })
        .collect();
    let band = columns
        .get(4)
        .and_then(|bands| bands.last())
        .copied()
        .unwrap_or(0.25);
    let class = if band >= 0.0 {
        classify(&days, band)
    } else {
        None
    };
    Ok(ScalarValue::Utf8(
        class.map(|class| class.name().to_owned()),
    ))
}
