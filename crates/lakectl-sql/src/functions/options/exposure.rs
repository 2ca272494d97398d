//! Exposures of option positions in SQL.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use lakectl_options::OptionKind;
use lakectl_options::exposure::{
    Book, Exposure, ExposureError, Holding, Ladder, OpenInterest, Rung, Shape, Stickiness, Walls,
    grid, max_pain,
};

use super::super::FunctionInfo;
use super::super::aggregate::AggregateSpec;
use super::super::record::{
    Record, complete_rows, count, list, number, only, record_type, record_value, word,
};
use super::super::scalar::{Arg, Body, ScalarSpec};
use super::kind;

type Outcome<T> = std::result::Result<T, &'static str>;

/// Steps of the grid on which sign changes are looked for, as the stages have it.
const STEPS: u32 = 240;

pub(super) static SCALARS: &[ScalarSpec] = &[ScalarSpec {
    info: FunctionInfo {
        name: "dollar_greeks",
        version: 1,
        signature: "dollar_greeks(forward, strike, expiry_years, sigma) -> struct{gamma_usd_per_pct, vanna_usd_per_volpt, charm_usd_per_day}",
        doc: "How the dollar delta of one contract of one coin changes when the price rises by one per cent, when volatility rises by one \
              point, and when a day passes; a call and a put have the same. Null unless all arguments are positive.",
        example: "dollar_greeks(forward, strike, expiry_years, sigma)",
    },
    args: &[Arg::Number; 4],
    required: 4,
    body: Body::Record(
        &[
            "gamma_usd_per_pct",
            "vanna_usd_per_volpt",
            "charm_usd_per_day",
        ],
        dollar_greeks,
    ),
}];

pub(super) static AGGREGATES: &[AggregateSpec] = &[
    AggregateSpec {
        info: FunctionInfo {
            name: "gamma_exposure",
            version: 1,
            signature: "gamma_exposure(position, forward, strike, expiry_years, sigma [, spot_ratio]) -> struct{gamma_usd_per_pct, vanna_usd_per_volpt, charm_usd_per_day, gross_gamma_usd_per_pct, options, status}",
            doc: "Dollar gamma (per one per cent), vanna (per volatility point) and charm (per day) of positions in contracts of one coin, \
                  negative when short, and the gamma without signs. The position is the assumption: minus the open interest for dealers \
                  short of everything, plus that of calls and minus that of puts for the naive reading, minus the net buying of takers. \
                  With `spot_ratio` the price is that many times what it is, forwards move along and strikes keep their volatility: \
                  joined with a list of ratios and grouped by them this is a profile. \
                  Rows with a missing value are left out. `status` is `ok`, `no_rows`, `bad_input` or `overflow`; the other fields are \
                  null unless it is `ok`.",
            example: "gamma_exposure(position, forward, strike, expiry_years, sigma)",
        },
        args: 6,
        required: 5,
        ordered: false,
        output: || record_type(&exposure_record(None, "")),
        evaluate: |columns| {
            record_value(match exposure(columns) {
                Ok(found) => exposure_record(Some(found), "ok"),
                Err(status) => exposure_record(None, status),
            })
        },
    },
    AggregateSpec {
        info: FunctionInfo {
            name: "zero_gamma",
            version: 2,
            signature: "zero_gamma(position, spot, forward, strike, expiry_years, sigma) -> struct{level, levels, all_levels, flip_status, stabilization, acceleration, gamma_skew, status}",
            doc: "Where the dollar gamma of positions changes sign within 30 % of the one spot price, strikes keeping their volatility and \
                  forwards moving with the spot price: the level nearest to it, how many there are, all of them, and `flip_status` (`found`, `none`, \
                  `several`). `stabilization` and `acceleration` are the shares of positive and negative gamma within 5 % of the spot \
                  price, weighted by a Gaussian of 2 %; they add up to one. Rows with a missing value are left out. `status` is `ok`, \
                  `no_rows`, `several_spots`, `bad_input` or `overflow`; the other fields are null unless it is `ok`.",
            example: "zero_gamma(position, spot, forward, strike, expiry_years, sigma)",
        },
        args: 6,
        required: 6,
        ordered: false,
        output: || record_type(&shape_record(None, "")),
        evaluate: |columns| {
            record_value(match shape(columns) {
                Ok(found) => shape_record(Some(&found), "ok"),
                Err(status) => shape_record(None, status),
            })
        },
    },
    AggregateSpec {
        info: FunctionInfo {
            name: "gamma_walls",
            version: 1,
            signature: "gamma_walls(position, forward, strike, expiry_years, sigma) -> struct{call_wall, put_wall, max_gamma_strike, status}",
            doc: "The strikes of the largest positive dollar gamma, the most negative one and the largest of either sign; the lowest of \
                  equal ones, null without any. Rows with a missing value are left out. `status` is `ok`, `no_rows`, `bad_input` or \
                  `overflow`.",
            example: "gamma_walls(position, forward, strike, expiry_years, sigma)",
        },
        args: 5,
        required: 5,
        ordered: false,
        output: || record_type(&walls_record(Err(""))),
        evaluate: |columns| record_value(walls_record(walls(columns))),
    },
    AggregateSpec {
        info: FunctionInfo {
            name: "hedge_demand",
            version: 1,
            signature: "hedge_demand(position, option_type, spot, forward, strike, expiry_years, sigma, spot_ratio, vol_shift, hours) -> struct{delta_coin, hedge_coin, hedge_usd, status}",
            doc: "What a book that is hedged now has to buy (sell, if negative) once the price is `spot_ratio` times what it is, every \
                  volatility has moved by `vol_shift` and `hours` have passed, in coin and in dollars of the new price, and its delta \
                  then. Strikes keep their volatility but for the shift; options that expire meanwhile are gone with their hedge. Joined \
                  with a list of moves and grouped by them this is a ladder. Rows with a missing value are left out. `status` is `ok`, \
                  `no_rows`, `option_type`, `several_spots`, `several_moves`, `bad_input`, `bad_argument` or `overflow`; the other fields \
                  are null unless it is `ok`.",
            example: "hedge_demand(position, option_type, spot, forward, strike, expiry_years, sigma, 1.05, 0.02, 8)",
        },
        args: 10,
        required: 10,
        ordered: false,
        output: || record_type(&rung_record(Err(""))),
        evaluate: |columns| record_value(rung_record(rung(columns))),
    },
    AggregateSpec {
        info: FunctionInfo {
            name: "max_pain",
            version: 1,
            signature: "max_pain(option_type, strike, open_interest) -> double",
            doc: "The strike at which all options together pay their holders least if they settle there, the lowest of several. Rows with a \
                  missing value are left out. Null without open interest, or if an option type is not known, a strike not positive or an \
                  open interest negative.",
            example: "max_pain(option_type, strike, open_interest)",
        },
        args: 3,
        required: 3,
        ordered: false,
        output: || DataType::Float64,
        evaluate: pain,
    },
];

fn dollar_greeks(row: &[f64], out: &mut [f64]) -> Option<()> {
    let &[forward, strike, expiry_years, vol] = row else {
        return None;
    };
    let book = Book::new(
        forward,
        &[holding([1.0, forward, strike, expiry_years, vol])],
    )
    .ok()?;
    let [unit] = book.at(1.0, Stickiness::Strike).ok()?;
    out.copy_from_slice(&[unit.gamma_usd, unit.vanna_usd, unit.charm_usd]);
    Some(())
}

/// (position, forward, strike, expiry_years, sigma); gamma, vanna and charm of a call are those of a put.
fn holding(row: [f64; 5]) -> Holding<1> {
    let [position, forward, strike, expiry_years, vol] = row;
    Holding {
        kind: OptionKind::Call,
        strike,
        expiry_years,
        forward,
        vol,
        smile: None,
        positions: [position],
    }
}

struct Found {
    now: Exposure,
    gross_gamma: f64,
    options: usize,
}

fn exposure(columns: &[&[f64]]) -> Outcome<Found> {
    let ones: Vec<f64>;
    let with_ratio = match columns.len() {
        6 => complete_rows::<6>(columns),
        _ => {
            ones = vec![1.0; columns.first().map_or(0, |column| column.len())];
            complete_rows::<6>(&[columns, &[&*ones]].concat())
        }
    };
    let rows: Vec<[f64; 5]> = with_ratio
        .into_iter()
        .map(|[position, forward, strike, expiry_years, vol, ratio]| {
            // All there is of a move with kept volatilities.
            [position, forward * ratio, strike, expiry_years, vol]
        })
        .collect();
    // Nothing here depends on the spot price: any positive number stands for it.
    let forward = rows.first().ok_or("no_rows")?[1];
    let holdings: Vec<Holding<1>> = rows.into_iter().map(holding).collect();
    let book = Book::new(forward, &holdings).map_err(ExposureError::word)?;
    let [now] = book
        .at(1.0, Stickiness::Strike)
        .map_err(ExposureError::word)?;
    let [gross_gamma] = book.gross_gamma_usd().map_err(ExposureError::word)?;
    Ok(Found {
        now,
        gross_gamma,
        options: holdings.len(),
    })
}

fn exposure_record(found: Option<Found>, status: &str) -> Record {
    let pick = |value: fn(&Found) -> f64| number(found.as_ref().map(value));
    vec![
        ("gamma_usd_per_pct", pick(|f| f.now.gamma_usd)),
        ("vanna_usd_per_volpt", pick(|f| f.now.vanna_usd)),
        ("charm_usd_per_day", pick(|f| f.now.charm_usd)),
        ("gross_gamma_usd_per_pct", pick(|f| f.gross_gamma)),
        ("options", count(found.as_ref().map(|f| f.options))),
        ("status", word(Some(status))),
    ]
}

fn shape(columns: &[&[f64]]) -> Outcome<Shape> {
    let rows = complete_rows::<6>(columns);
    let spot = only(&rows, 1, "several_spots")?;
    let holdings: Vec<Holding<1>> = rows
        .into_iter()
        .map(|[position, _, forward, strike, expiry_years, vol]| {
            holding([position, forward, strike, expiry_years, vol])
        })
        .collect();
    let book = Book::new(spot, &holdings).map_err(ExposureError::word)?;
    let profile = book
        .profile(grid(STEPS), Stickiness::Strike)
        .map_err(ExposureError::word)?;
    profile.shape(0).ok_or("bad_input")
}

fn shape_record(shape: Option<&Shape>, status: &str) -> Record {
    let pick = |value: fn(&Shape) -> Option<f64>| number(shape.and_then(value));
    vec![
        ("level", pick(|s| s.zero_gamma_level)),
        ("levels", count(shape.map(|s| s.zero_gamma.len()))),
        ("all_levels", list(shape.map(|s| &*s.zero_gamma))),
        ("flip_status", word(shape.map(|s| s.flip.word()))),
        ("stabilization", pick(|s| s.stabilization)),
        ("acceleration", pick(|s| s.acceleration)),
        ("gamma_skew", pick(|s| s.gamma_skew)),
        ("status", word(Some(status))),
    ]
}

fn walls(columns: &[&[f64]]) -> Outcome<Walls> {
    let rows = complete_rows::<5>(columns);
    let forward = rows.first().ok_or("no_rows")?[1];
    let holdings: Vec<Holding<1>> = rows.into_iter().map(holding).collect();
    let book = Book::new(forward, &holdings).map_err(ExposureError::word)?;
    book.walls(0).map_err(ExposureError::word)
}

fn walls_record(walls: Outcome<Walls>) -> Record {
    let pick = |value: fn(&Walls) -> Option<f64>| number(walls.as_ref().ok().and_then(value));
    vec![
        ("call_wall", pick(|w| w.call_wall)),
        ("put_wall", pick(|w| w.put_wall)),
        ("max_gamma_strike", pick(|w| w.max_gamma)),
        ("status", word(Some(walls.err().unwrap_or("ok")))),
    ]
}

/// (position, option_type, spot, forward, strike, expiry_years, sigma, spot_ratio, vol_shift, hours)
fn rung(columns: &[&[f64]]) -> Outcome<Rung<1>> {
    let rows = complete_rows::<10>(columns);
    let spot = only(&rows, 2, "several_spots")?;
    let [ratio, vol_shift, hours] = [7, 8, 9].map(|column| only(&rows, column, "several_moves"));
    let with_kind = |[position, sign, _, forward, strike, expiry_years, vol, ..]: [f64; 10]| {
        let kind = kind(sign).ok_or("option_type")?;
        Ok(Holding {
            kind,
            ..holding([position, forward, strike, expiry_years, vol])
        })
    };
    let holdings: Vec<Holding<1>> = rows.into_iter().map(with_kind).collect::<Outcome<_>>()?;
    let book = Book::new(spot, &holdings).map_err(ExposureError::word)?;
    let ladder = Ladder {
        ratios: &[ratio?],
        vol_shifts: &[vol_shift?],
        hours: &[hours?],
    };
    let rungs = book.ladder(ladder).map_err(ExposureError::word)?;
    rungs.into_iter().next().ok_or("bad_argument")
}

fn rung_record(rung: Outcome<Rung<1>>) -> Record {
    let pick = |value: fn(&Rung<1>) -> f64| number(rung.as_ref().ok().map(value));
    vec![
        ("delta_coin", pick(|r| r.delta_coin[0])),
        ("hedge_coin", pick(|r| r.hedge_coin[0])),
        ("hedge_usd", pick(|r| r.hedge_usd[0])),
        ("status", word(Some(rung.err().unwrap_or("ok")))),
    ]
}

fn pain(columns: &[&[f64]]) -> Result<ScalarValue> {
    let option = |[sign, strike, contracts]: [f64; 3]| {
        kind(sign).map(|kind| OpenInterest {
            kind,
            strike,
            contracts,
        })
    };
    let options: Option<Vec<OpenInterest>> = complete_rows::<3>(columns)
        .into_iter()
        .map(option)
        .collect();
    Ok(number(options.as_deref().and_then(max_pain)))
}
