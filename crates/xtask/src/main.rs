//! `cargo xtask tidy` checks the project, `cargo xtask docs` writes the generated pages, `cargo xtask faults` runs the full
//! set of fault tests.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::process::ExitCode;

use anyhow::{Context, Result};

const USAGE: &str = "usage: cargo xtask <chore>

  tidy   check dependencies between crates, lengths, leftovers, declarations and links
  docs   write the generated pages in docs/reference
  faults [--seeds 1000] [--kills 2500] [--sequences 10000]
         run the full set of fault tests and print what was tried as a table for docs/reliability.md";

fn main() -> Result<ExitCode> {
    let root = xtask::project_root();
    let chore = std::env::args().nth(1);
    match chore.as_deref() {
        Some("tidy") => {
            let problems = xtask::tidy::check(&root)?;
            for problem in &problems {
                eprintln!("{problem}");
            }
            println!("{} problems", problems.len());
            Ok(ExitCode::from(u8::from(!problems.is_empty())))
        }
        Some("docs") => {
            for (path, text) in xtask::pages::all(&root)? {
                let target = root.join(path);
                if let Some(folder) = target.parent() {
                    std::fs::create_dir_all(folder)
                        .with_context(|| format!("creating {}", folder.display()))?;
                }
                std::fs::write(&target, text)
                    .with_context(|| format!("writing {}", target.display()))?;
                println!("{path}");
            }
            Ok(ExitCode::SUCCESS)
        }
        Some("faults") => {
            let counts = xtask::faults::counts(std::env::args().skip(2))?;
            let rows = xtask::faults::run(&root, counts)?;
            println!("{}", xtask::faults::table(&rows));
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(1))
        }
    }
}
