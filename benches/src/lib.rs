//! Projects and queries to measure with.

pub mod peers;
pub mod queries;

use std::path::Path;
use std::time::Instant;

use lakectl_pipeline::Project;

/// A graph of trivial queries: each adds one to the stage before.
#[derive(Clone, Copy, Debug)]
pub struct Chains {
    /// Independent chains, which are partitions of each stage, or stages of their own.
    pub chains: usize,
    /// Stages that follow one another.
    pub length: usize,
    /// Days, which are partitions as well; 0 for tables without time.
    pub days: usize,
    /// Whether each link of each chain is a stage with a query of its own.
    pub own_stages: bool,
}

impl Chains {
    /// A hundred chains of ten: 1,000 tasks of ten stages.
    pub const THOUSAND: Self = Self {
        chains: 100,
        length: 10,
        days: 0,
        own_stages: false,
    };
    /// The same tasks as 1,000 stages of one partition.
    pub const THOUSAND_STAGES: Self = Self {
        own_stages: true,
        ..Self::THOUSAND
    };
    /// A thousand chains of ten over ten days: 100,000 tasks.
    pub const HUNDRED_THOUSAND: Self = Self {
        chains: 1_000,
        length: 10,
        days: 10,
        own_stages: false,
    };

    /// Returns the number of tasks.
    pub fn tasks(&self) -> usize {
        self.chains * self.length * self.days.max(1)
    }

    /// Returns the project that declares them.
    pub fn project(&self) -> Project {
        let mut project = Project::built_in();
        let shipped: Vec<String> = ["pipelines", "configs", "sql"]
            .iter()
            .flat_map(|folder| project.files(folder))
            .map(|(path, _)| path.to_owned())
            .collect();
        for path in shipped {
            project.set_text(&path, "");
        }
        let names: Vec<String> = (0..self.chains).map(|i| format!("\"c{i:04}\"")).collect();
        project.set_text(
            "configs/demo.toml",
            format!(
                "[calendar]\nend = \"2026-01-{:02}\"\n[coverage.chains]\nchain = [{}]\nstart = \"2026-01-01\"\n",
                self.days.max(1),
                names.join(", ")
            ),
        );
        let prefixes: Vec<String> = match self.own_stages {
            true => (0..self.chains)
                .map(|chain| format!("c{chain:04}_"))
                .collect(),
            false => vec![String::new()],
        };
        let mut stages = String::new();
        for prefix in prefixes {
            for index in 0..self.length {
                stages.push_str(&self.stage(&prefix, index));
                let query = self.query(&prefix, index);
                project.set_text(&format!("sql/step/{prefix}s{index}.sql"), query);
            }
        }
        project.set_text("pipelines/steps.toml", stages);
        project
    }

    fn stage(&self, prefix: &str, index: usize) -> String {
        let keys = match self.own_stages {
            true => "",
            false => "keys = [\"chain\"]\ncoverage = \"chains\"\n",
        };
        let time = match self.days {
            0 => "grain = \"none\"\nprimary_key = [\"chain\"]\ncolumns = \"chain utf8, x i64\"\n",
            _ => {
                "grain = \"day\"\ntime_column = \"t\"\nprimary_key = [\"chain\", \"t\"]\ncolumns = \"chain utf8, t ts, x i64\"\n"
            }
        };
        let input = index.checked_sub(1).map_or_else(String::new, |before| {
            format!("\"step.{prefix}s{before}\" = \"self\"\n")
        });
        format!(
            "[[stage]]\ntable = \"step.{prefix}s{index}\"\nkind = \"sql\"\n{keys}{time}description = \"A step.\"\n[stage.inputs]\n{input}"
        )
    }

    fn query(&self, prefix: &str, index: usize) -> String {
        let time = if self.days == 0 { "" } else { " t," };
        let chain = match self.own_stages {
            true => format!("'{prefix}'"),
            false => "$chain".to_owned(),
        };
        match (index.checked_sub(1), self.days) {
            (Some(before), _) => {
                format!("SELECT chain,{time} x + 1 AS x FROM step.{prefix}s{before}")
            }
            (None, 0) => format!("SELECT {chain} AS chain, 1 AS x"),
            (None, _) => format!("SELECT {chain} AS chain, $start AS t, 1 AS x"),
        }
    }
}

/// Writes the files of a project that hold something below `root`.
///
/// # Errors
/// What the system says.
pub fn write_project(project: &Project, root: &Path) -> std::io::Result<()> {
    for folder in ["pipelines", "sql", "configs"] {
        for (path, text) in project.files(folder) {
            let path = root.join(path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, text)?;
        }
    }
    Ok(())
}

/// Rounds of [`compare`]; ours and the peer take turns.
const ROUNDS: usize = 41;

/// Measures two ways of doing the same `calls` calls in turns and prints the best time of each for one call, and their
/// ratio; returns ours in nanoseconds. The best of many short rounds is what an idle processor needs, even when this one is not idle.
#[allow(clippy::print_stdout, reason = "a benchmark reports on the terminal")]
pub fn compare(
    what: &str,
    calls: usize,
    mut ours: impl FnMut(),
    peer_name: &str,
    mut peer: impl FnMut(),
) -> f64 {
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
    nanos(best_ours)
}

fn seconds(work: &mut impl FnMut()) -> f64 {
    let clock = Instant::now();
    work();
    clock.elapsed().as_secs_f64()
}
