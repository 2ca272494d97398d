use lakectl_onchain::fusion::{Evidence, LongShortFlags, MdiaFlags, Rules, WhaleFlags, fuse};
use lakectl_sql::{SqlEngine, StageTable};

use crate::lab::{Value, number, params, table, text};

#[test]
fn the_fusion_functions_are_the_kernel() {
    let mut rows = Vec::new();
    for mdia in 0..8 {
        for whales in 0..128 {
            for long_short in (0..1024).step_by(7) {
                rows.push(vec![
                    Value::Int(mdia),
                    Value::Int(whales),
                    Value::Int(long_short),
                ]);
            }
        }
    }
    let masks = table("mdia i64?, whales i64, long_short i64", &rows);
    let granted = StageTable {
        id: "test.masks".parse().unwrap(),
        schema: masks.schema(),
        batches: vec![masks.clone()],
    };
    let sql = "SELECT *, fusion_state(mdia, whales, long_short) AS state, fusion_confidence(mdia, whales, long_short) AS confidence, \
               fusion_reason(mdia, whales, long_short) AS reason, fusion(mdia, whales, long_short)['score'] AS score, \
               fusion(mdia, whales, long_short)['size'] AS size, fusion_state(mdia, whales, long_short, 1) AS legacy \
               FROM test.masks";
    let (_, batches) = SqlEngine::new()
        .run_stage(sql, vec![granted], &params("BTC", 0, 1))
        .unwrap();
    let mut checked = 0;
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let bits = |name: &str| number(batch, name, row).unwrap() as u32;
            let evidence = Evidence {
                mdia: Some(MdiaFlags::from_bits(bits("mdia"))),
                whales: Some(WhaleFlags::from_bits(bits("whales"))),
                long_short: Some(LongShortFlags::from_bits(bits("long_short"))),
            };
            let fused = fuse(&evidence, Rules::V2);
            assert_eq!(text(batch, "state", row), fused.state.name());
            assert_eq!(text(batch, "confidence", row), fused.confidence.name());
            assert_eq!(
                text(batch, "reason", row),
                fused.reason.map_or("", |reason| reason.text())
            );
            assert_eq!(
                number(batch, "score", row),
                fused.score.map(|score| score as f64)
            );
            assert_eq!(number(batch, "size", row), Some(fused.size));
            assert_eq!(
                text(batch, "legacy", row),
                fuse(&evidence, Rules::Legacy).state.name()
            );
            checked += 1;
        }
    }
    assert_eq!(checked, rows.len());
}
