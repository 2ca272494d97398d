//! Temporary: measures on lakes made before.
use std::sync::Arc;
use std::path::PathBuf;
use lakectl_market::Market;
use lakectl_pipeline::lake::Open;
use lakectl_pipeline::stages::Columns;
use lakectl_pipeline::{Project, Workbench};
use crate::skill;

#[test]
fn tune() {
    let Some(root) = std::env::var_os("LAKE_TRUTH_LAKES") else { return };
    let seeds: Vec<u64> = std::env::var("SEEDS").unwrap_or("1,2,3,4,5,6,7,8,9,10".into()).split(',').map(|s| s.parse().unwrap()).collect();
    let mut all = Vec::new();
    for seed in seeds {
        let bench = Workbench::open(Project::built_in(), "demo", &[format!("sources.demo.market.seed={seed}")]).unwrap();
        let lake = Arc::new(bench.lake(&PathBuf::from(&root).join(format!("seed{seed}/lake")), Open::Existing).unwrap());
        let sql = |query: &str| {
            let session = bench.session(Arc::clone(&lake), None).unwrap();
            let (schema, batches) = session.collect_blocking(query).unwrap();
            Columns::new(&schema, &batches).unwrap()
        };
        let market = Market::new(bench.settings.sources["demo"].market.clone().unwrap()).unwrap();
        all.push((seed, skill::measure(&sql, &market, 30, seed)));
    }
    skill::report_all(&all);
}

#[test]
fn silent() {
    let Some(root) = std::env::var_os("LAKE_TRUTH_LAKES") else { return };
    let bench = Workbench::open(Project::built_in(), "demo", &[]).unwrap();
    let lake = Arc::new(bench.lake(&PathBuf::from(&root).join("seed1/lake"), Open::Existing).unwrap());
    let sql = |query: &str| {
        let session = bench.session(Arc::clone(&lake), None).unwrap();
        let (schema, batches) = session.collect_blocking(query).unwrap();
        Columns::new(&schema, &batches).unwrap()
    };
    use lakectl_core::ColumnType::*;
    let tables = lake.head().unwrap().tables;
    for kinds in [vec![F64, I64], vec![Bool]] {
        for (a, b, c) in crate::columns::silent(&sql, &tables, "2025-09-02", &kinds) { eprintln!("{a} {b}: {c}"); }
        eprintln!("--");
    }
}
