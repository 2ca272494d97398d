//! Window functions against their definitions, and independence of history.

use super::{bars, column, noise, run};

const WINDOW: usize = 20;

fn gappy(count: usize, seed: u64, every: usize) -> Vec<Option<f64>> {
    noise(count, seed)
        .into_iter()
        .enumerate()
        .map(|(i, v)| (i % every != 2).then_some(v * 1e3))
        .collect()
}

fn over(call: &str, x: &[Option<f64>], y: &[Option<f64>]) -> Vec<Option<f64>> {
    let sql = format!(
        "SELECT event_time, {call} OVER (PARTITION BY asset ORDER BY event_time ROWS BETWEEN {} PRECEDING AND CURRENT ROW) AS v \
         FROM m.bars ORDER BY event_time",
        WINDOW - 1
    );
    column(&run(&sql, vec![bars(x, y, 13)], &[]).unwrap().1, "v")
}

fn frame(x: &[Option<f64>], row: usize) -> &[Option<f64>] {
    &x[(row + 1).saturating_sub(WINDOW)..=row]
}

fn naive(x: &[Option<f64>], each: impl Fn(&[Option<f64>]) -> Option<f64>) -> Vec<Option<f64>> {
    (0..x.len()).map(|row| each(frame(x, row))).collect()
}

fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let sum: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, (sum / (n - 1.0)).sqrt())
}

fn close(found: &[Option<f64>], expected: &[Option<f64>], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (row, pair) in found.iter().zip(expected).enumerate() {
        match pair {
            (None, None) => {}
            (Some(a), Some(b)) if (a - b).abs() <= 1e-11 * b.abs().max(1.0) => {}
            (a, b) => panic!("{what}, row {row}: {a:?} against {b:?}"),
        }
    }
}

#[test]
fn windows_equal_their_definitions() {
    let (x, y) = (gappy(120, 5, 7), gappy(120, 6, 5));
    let present = |f: &[Option<f64>]| f.iter().flatten().copied().collect::<Vec<f64>>();
    let z = |least: usize| {
        naive(&x, move |f| {
            let values = present(f);
            let last = (*f.last()?)?;
            let (mean, sd) = moments(&values);
            (values.len() >= least).then(|| (last - mean) / (sd + 1e-9))
        })
    };
    close(&over("zscore(x)", &x, &y), &z(2), "zscore");
    close(
        &over("zscore(x, 10)", &x, &y),
        &z(10),
        "zscore with a least count",
    );
    let rank = naive(&x, |f| {
        let values = present(f);
        let last = (*f.last()?)?;
        Some(values.iter().filter(|v| **v <= last).count() as f64 / values.len() as f64)
    });
    close(&over("pct_rank_last(x)", &x, &y), &rank, "pct_rank_last");
    let ema = naive(&x, |f| {
        present(f)
            .into_iter()
            .reduce(|average, v| 0.3 * v + 0.7 * average)
    });
    close(&over("ema(x, 0.3)", &x, &y), &ema, "ema");
    let slope = (0..x.len()).map(|row| {
        let pairs: Vec<(f64, f64)> = frame(&x, row)
            .iter()
            .zip(frame(&y, row))
            .filter_map(|(x, y)| Some(((*x)?, (*y)?)))
            .collect();
        let n = pairs.len() as f64;
        let (mx, my) = (
            pairs.iter().map(|p| p.0).sum::<f64>() / n,
            pairs.iter().map(|p| p.1).sum::<f64>() / n,
        );
        let sxx: f64 = pairs.iter().map(|p| (p.0 - mx) * (p.0 - mx)).sum();
        let sxy: f64 = pairs.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
        (pairs.len() >= 4).then(|| sxy / sxx)
    });
    close(
        &over("ols_slope(y, x, 4)", &x, &y),
        &slope.collect::<Vec<_>>(),
        "ols_slope",
    );
    let mean = naive(&x, |f| {
        (!present(f).is_empty()).then(|| moments(&present(f)).0)
    });
    close(&over("avg(x)", &x, &y), &mean, "avg");
    let median = naive(&x, |f| {
        let mut v = present(f);
        v.sort_by(f64::total_cmp);
        let n = v.len();
        (n > 0).then(|| {
            if n % 2 == 1 {
                v[n / 2]
            } else {
                0.5 * (v[n / 2 - 1] + v[n / 2])
            }
        })
    });
    close(&over("median(x)", &x, &y), &median, "median");
}

#[test]
fn rows_outside_the_frame_leave_no_trace() {
    // A huge value that has left the frame, and a longer history, must not change a single bit.
    let quiet = gappy(200, 8, 9);
    let mut wild = quiet.clone();
    wild[3] = Some(1e300);
    wild[5] = Some(-7e18);
    let y = gappy(200, 9, 4);
    let calls = [
        "zscore(x)",
        "ema(x, 0.2)",
        "pct_rank_last(x)",
        "ols_slope(y, x)",
        "avg(x)",
        "sum(x)",
        "stddev(x)",
        "var_pop(x)",
        "corr(x, y)",
        "covar_samp(x, y)",
        "regr_slope(y, x)",
        "regr_r2(y, x)",
        "median(x)",
        "percentile_cont(x, 0.3)",
        "max(x)",
        "min(x)",
    ];
    for call in calls {
        let full = over(call, &quiet, &y);
        assert_eq!(
            full[30..],
            over(call, &wild, &y)[30..],
            "{call}: a value that left the frame"
        );
        assert_eq!(
            full[50 + WINDOW..],
            over(call, &quiet[50..], &y[50..])[WINDOW..],
            "{call}: a shorter history"
        );
    }
}

#[test]
fn frames_filter_and_grouping_agree() {
    let (x, y) = (gappy(60, 11, 7), gappy(60, 12, 5));
    let sql = "SELECT event_time, zscore(x) FILTER (WHERE y > 0) OVER w AS f, avg(x) FILTER (WHERE y > 0) OVER w AS g, \
               avg(CASE WHEN y > 0 THEN x END) OVER w AS h FROM m.bars \
               WINDOW w AS (ORDER BY event_time ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) ORDER BY 1";
    let (_, rows) = run(sql, vec![bars(&x, &y, 60)], &[]).unwrap();
    close(&column(&rows, "g"), &column(&rows, "h"), "avg with FILTER");
    assert!(column(&rows, "f").iter().any(Option::is_some));
    let grouped = "SELECT ols_slope(y, x) AS s, regr_slope(y, x) AS r, ema(x, 0.5 ORDER BY event_time) AS e FROM m.bars";
    let (_, rows) = run(grouped, vec![bars(&x, &y, 60)], &[]).unwrap();
    close(&column(&rows, "s"), &column(&rows, "r"), "slopes");
    assert!(column(&rows, "e")[0].is_some());
}
