//! Projects and queries to measure with.

pub mod queries;

use std::fmt::Write as _;
use std::time::Instant;

use lakectl_pipeline::Project;

/// Independent chains, which are partitions of each stage.
pub const CHAINS: usize = 100;
/// Stages that follow one another.
pub const LENGTH: usize = 10;

/// A project whose whole graph is [`LENGTH`] queries over [`CHAINS`] partitions: each adds one to the stage before.
pub fn chains_project() -> Project {
    let mut project = Project::built_in();
    let shipped: Vec<String> = ["pipelines", "configs"]
        .iter()
        .flat_map(|folder| project.files(folder))
        .map(|(path, _)| path.to_owned())
        .collect();
    for path in shipped {
        project.set_text(&path, "");
    }
    let names: Vec<String> = (0..CHAINS).map(|i| format!("\"c{i:03}\"")).collect();
    project.set_text(
        "configs/demo.toml",
        format!("[calendar]\nend = \"2026-01-31\"\n[coverage.chains]\nchain = [{}]\nstart = \"2026-01-01\"\n", names.join(", ")),
    );
    let mut stages = String::new();
    for index in 0..LENGTH {
        // Writing to a String cannot fail.
        let _ = write!(
            stages,
            "[[stage]]\ntable = \"step.s{index}\"\nkind = \"sql\"\nkeys = [\"chain\"]\ngrain = \"none\"\ncoverage = \"chains\"\n\
             primary_key = [\"chain\"]\ncolumns = \"chain utf8, x i64\"\ndescription = \"A step.\"\n[stage.inputs]\n"
        );
        let query = match index.checked_sub(1) {
            None => "SELECT $chain AS chain, 1 AS x".to_owned(),
            Some(before) => {
                let _ = writeln!(stages, "\"step.s{before}\" = \"self\"");
                format!("SELECT chain, x + 1 AS x FROM step.s{before}")
            }
        };
        project.set_text(&format!("sql/step/s{index}.sql"), query);
    }
    project.set_text("pipelines/steps.toml", stages);
    project
}

/// Rounds of [`compare`]; ours and the peer take turns.
const ROUNDS: usize = 41;

/// Measures two ways of doing the same `calls` calls in turns and prints the best time of each for one call, and their
/// ratio. The best of many short rounds is what an idle processor needs, even when this one is not idle.
#[allow(clippy::print_stdout, reason = "a benchmark reports on the terminal")]
pub fn compare(
    what: &str,
    calls: usize,
    mut ours: impl FnMut(),
    peer_name: &str,
    mut peer: impl FnMut(),
) {
    let (mut best_ours, mut best_peer) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        best_ours = best_ours.min(seconds(&mut ours));
        best_peer = best_peer.min(seconds(&mut peer));
    }
    let nanos = |seconds: f64| seconds * 1e9 / calls as f64;
    println!(
        "{what}: {:.0} ns, {peer_name}: {:.0} ns, ratio {:.2}",
        nanos(best_ours),
        nanos(best_peer),
        best_ours / best_peer
    );
}

fn seconds(work: &mut impl FnMut()) -> f64 {
    let clock = Instant::now();
    work();
    clock.elapsed().as_secs_f64()
}
