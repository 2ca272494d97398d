//! The lake where everything goes wrong, by seed: simulated disks that lose what was not flushed, stores that fail,
//! processes that die at any step and writers that interleave in any order.
//!
//! One script decides what goes wrong at which step, for disks and for object stores alike. A failing seed or step is
//! named by the test, and is the same failure again. `LAKE_FAULTS=<n>` sets how many seeds are tried.

mod damage;
mod disk;
mod objects;
mod script;
mod work;

use std::sync::{Arc, Mutex};

use object_store::memory::InMemory;

use disk::{Content, SimDisk};
use script::{Draw, Script, Wrong};
use work::{
    Published, Told, calm, check, check_projection, empty_disk, expected, in_store, on_disk,
    quarrel, read_all, work,
};

use crate::StoreError;

/// Seeds to try: the environment's number, else a sample.
pub(super) fn seeds(sample: u64) -> u64 {
    let asked = std::env::var("LAKE_FAULTS").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(sample)
}

fn all() -> bool {
    std::env::var_os("LAKE_FAULTS").is_some()
}

/// A line for `cargo xtask faults`, past the capture of test output.
pub(super) fn tell(what: &str, count: u64, result: &str) {
    if !all() {
        return;
    }
    let line = format!("FAULTS|{what}|{count}|{result}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}

/// Lets writers work on one disk until they are done or dead.
fn run(
    content: Content,
    script: &Script,
    writers: usize,
) -> (Content, Told, Vec<Result<(), StoreError>>) {
    let disk = SimDisk::new(content, script, 0);
    let told = Mutex::new(Told::default());
    let results = std::thread::scope(|scope| {
        let start = |writer: usize| {
            let (disk, told) = (disk.for_writer(writer), &told);
            scope.spawn(move || {
                let _leaving = Leaving(script, writer);
                let lake = on_disk(&disk)?;
                let first = work(&lake, writer, told);
                // A process that lives on tries again.
                if first.is_err() {
                    let _ = work(&lake, writer, told);
                }
                first
            })
        };
        let threads: Vec<_> = (0..writers).map(start).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let content = disk.content.lock().unwrap().clone();
    (content, told.into_inner().unwrap(), results)
}

/// Gives up the writer's turn whatever happens to it.
struct Leaving<'a>(&'a Script, usize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

#[track_caller]
fn well(result: Result<(), StoreError>, told: &str) {
    result.unwrap_or_else(|error| panic!("{told}: {error}"));
}

#[test]
fn power_losses() {
    let count = seeds(60);
    let whole: Vec<_> = (0..4).map(expected).collect();
    for seed in 0..count {
        let writers = 1 + seed as usize % 3;
        let calm_run = Script::new(seed, writers, None);
        run(empty_disk(), &calm_run, writers);
        let mut draw = Draw(seed ^ 0x5eed);
        let step = 1 + draw.below(calm_run.steps() as usize) as u64;
        let wrong = [Wrong::DieBefore, Wrong::DieAfter][draw.below(2)];
        let script = Script::new(seed, writers, Some((step, wrong)));
        let (content, told, _) = run(empty_disk(), &script, writers);
        assert!(script.met(), "seed {seed}");
        let name = format!(
            "seed {seed}, power lost at step {step} of {}",
            calm_run.steps()
        );
        let left = calm(content.after_power_loss(draw.next()));
        let left = left.unwrap_or_else(|error| panic!("{name}: {error}"));
        well(check(&left, &told, &whole[writers], writers), &name);
    }
    tell(
        "power loss at a random step, 1 to 3 writers",
        count,
        "acknowledged results kept, rerun equal",
    );
}

/// Every step of one writer or two, each going wrong in every way.
#[test]
fn every_step_on_a_disk() {
    let whole: Vec<_> = (0..3).map(expected).collect();
    let (orders, stride) = if all() { (16, 1) } else { (1, 5) };
    for (offset, wrong) in (0..).zip(Wrong::ALL) {
        let mut tried = 0;
        for seed in 0..orders {
            let writers = 1 + seed as usize % 2;
            let calm_run = Script::new(seed, writers, None);
            run(empty_disk(), &calm_run, writers);
            for step in (1 + offset % stride..=calm_run.steps()).step_by(stride as usize) {
                let told = format!("{wrong:?} at step {step} of order {seed}");
                tried += u64::from(survives(
                    &whole[writers],
                    writers,
                    seed,
                    (step, wrong),
                    &told,
                ));
            }
        }
        assert!(tried > 0, "{wrong:?}");
        let what = format!("disk: {}", wrong.word());
        tell(
            &what,
            tried,
            "every result kept, also after a power loss; rerun equal",
        );
    }
}

/// Lets one thing go wrong on a disk and checks what is left. Returns whether anything went wrong.
fn survives(whole: &Published, writers: usize, seed: u64, wrong: (u64, Wrong), name: &str) -> bool {
    let script = Script::new(seed, writers, Some(wrong));
    let (content, told, results) = run(empty_disk(), &script, writers);
    if !script.met() {
        return false;
    }
    // Bytes that were garbled once on their way are asked for again; but lake.json has no digest.
    if matches!(wrong.1, Wrong::Flip | Wrong::Cut) {
        let harmless = |result: &Result<(), StoreError>| match result {
            Err(StoreError::OtherProfile { .. } | StoreError::NewerFormat { .. }) => true,
            result => result.is_ok(),
        };
        assert!(results.iter().all(harmless), "{name}: {results:?}");
    }
    // An error leaves the process alive: its disk is as it is. Then the power goes as well.
    for left in [content.clone(), content.after_power_loss(wrong.0)] {
        let left = calm(left).unwrap_or_else(|error| panic!("{name}: {error}"));
        well(check(&left, &told, whole, writers), name);
    }
    true
}

#[test]
fn every_request_to_a_store() {
    let whole = expected(1);
    let steps = |wrong| {
        let script = Script::new(1, 1, wrong);
        let store = Arc::new(InMemory::new());
        let told = Mutex::new(Told::default());
        let result = in_store(&store, &script).and_then(|lake| work(&lake, 0, &told));
        (script, store, told.into_inner().unwrap(), result)
    };
    let calm_run = steps(None);
    well(calm_run.3, "nothing goes wrong");
    // Objects are put whole or not at all.
    for wrong in Wrong::ALL
        .into_iter()
        .filter(|wrong| *wrong != Wrong::Short)
    {
        let mut tried = 0;
        for step in 1..=calm_run.0.steps() {
            let (script, store, told, result) = steps(Some((step, wrong)));
            let name = format!("{wrong:?} at step {step}");
            if !script.met() {
                continue;
            }
            // What a second question can settle is not noticed.
            if matches!(wrong, Wrong::LostAnswer | Wrong::Cut | Wrong::Full) {
                well(result, &name);
            }
            let left = in_store(&store, &Script::new(0, 1, None));
            let left = left.unwrap_or_else(|error| panic!("{name}: {error}"));
            well(check(&left, &told, &whole, 1), &name);
            tried += 1;
        }
        assert!(tried > 0, "{wrong:?}");
        let what = match wrong {
            Wrong::Full => {
                "store: the nth request meets a conflict (409) or a busy store (503)".to_owned()
            }
            wrong => format!("store: {}", wrong.word().replace("operation", "request")),
        };
        tell(&what, tried, "every result kept; rerun equal");
    }
}

#[test]
fn writers_in_any_order() {
    let count = seeds(60);
    for seed in 0..count {
        let writers = 2 + seed as usize % 2;
        // One more process reads all the time.
        let script = Script::new(seed, writers + 1, None);
        let disk = SimDisk::new(empty_disk(), &script, 0);
        let told = Mutex::new(Told::default());
        let name = format!("seed {seed}");
        let quarrels = std::thread::scope(|scope| {
            let start = |writer: usize| {
                let (disk, told, script) = (disk.for_writer(writer), &told, &script);
                scope.spawn(move || {
                    let _leaving = Leaving(script, writer);
                    let lake = on_disk(&disk)?;
                    let first = quarrel(&lake, writer);
                    work(&lake, writer, told)?;
                    first
                })
            };
            let threads: Vec<_> = (0..writers).map(start).collect();
            let reader = disk.for_writer(writers);
            let script = &script;
            let reading = scope.spawn(move || {
                let _leaving = Leaving(script, writers);
                let mut rows = 0;
                for _ in 0..6 {
                    let found = read_all(&on_disk(&reader)?)?;
                    assert!(found >= rows, "rows were there and are gone");
                    rows = found;
                }
                Ok::<_, StoreError>(())
            });
            well(reading.join().unwrap(), &name);
            let ended = threads.into_iter().map(|thread| thread.join().unwrap());
            ended.collect::<Vec<_>>()
        });
        let won = quarrels.iter().filter(|result| result.is_ok()).count();
        assert_eq!(won, 1, "{name}: one writer creates a partition");
        for error in quarrels.into_iter().filter_map(Result::err) {
            assert!(
                matches!(error, StoreError::Conflict { .. }),
                "{name}: {error}"
            );
        }
        let content = disk.content.lock().unwrap().clone();
        let lake = calm(content).unwrap();
        let log = lake.log().unwrap();
        assert_eq!(log.len(), writers * 2 + 1, "{name}");
        read_all(&lake).unwrap();
        lake.project_delta(None).unwrap();
        check_projection(&lake).unwrap();
    }
    tell(
        "2 or 3 writers and a reader in a random order",
        count,
        "log gapless, one of all creators of a partition won, no torn read",
    );
}
