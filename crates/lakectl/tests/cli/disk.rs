//! A disk that takes no more: the error names the file, the lake is as it was, and the next run goes on.

use std::process::{Command, Output};

use crate::common::{Ended, LAKECTL, Place, SHORT};

/// Runs a shell script in the place; `$LAKECTL` is the program with the settings of the short demo.
fn shell(place: &Place, before: &[&str], script: &str) -> Output {
    let mut words = before.to_vec();
    words.extend(["sh", "-c", script]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(place.path());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LAKE") {
            command.env_remove(name);
        }
    }
    command
        .env("LAKECTL", format!("{LAKECTL} {}", SHORT.join(" ")))
        .output()
        .unwrap()
}

#[test]
fn files_that_may_not_grow() {
    let place = Place::published();
    let before = place.hashes();
    // No file beyond a few KiB; the signal that would end the process is ignored, so the write fails.
    let script = "trap '' XFSZ; ulimit -f 8; exec $LAKECTL run --format json";
    let ended = Ended::of(shell(&place, &[], script)).code(2);
    assert!(
        ended.stderr.contains("File too large") || ended.stdout.contains("File too large"),
        "{}\n{}",
        ended.stdout,
        ended.stderr
    );
    let told = format!("{}{}", ended.stdout, ended.stderr);
    let lake = place.lake().canonicalize().unwrap().display().to_string();
    assert!(told.contains(&format!("cannot write {lake}/")), "{told}");
    assert_eq!(place.hashes(), before);
    place
        .call(&["sql", "SELECT count(*) FROM forecast.quantiles"])
        .code(0);

    place.short(&["run"]).code(0);
    let whole = Place::published();
    whole.short(&["run"]).code(0);
    assert_eq!(place.hashes(), whole.hashes());
}

#[test]
fn a_full_disk() {
    let unshare = Command::new("unshare").arg("--version").output();
    if !unshare.is_ok_and(|output| output.status.success()) {
        // Past the capture of test output, so that it is read.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED a_full_disk: there is no `unshare` here\n"),
        );
        return;
    }
    let place = Place::published();
    let lake = place.lake();
    // A file system of its own, in a namespace that ends with the shell.
    let script = "
        mkdir disk && mount -t tmpfs -o size=64m disk disk || exit 99
        cp -r lake/demo disk/demo
        free=$(df -k --output=avail disk | tail -1)
        head -c $(( (free - 48) * 1024 )) /dev/zero > disk/ballast
        $LAKECTL --lake disk/demo run --format json > full.out 2> full.err; echo $? > full.code
        $LAKECTL --lake disk/demo log --format json > full.log
        rm disk/ballast
        $LAKECTL --lake disk/demo status > status.out
        $LAKECTL --lake disk/demo run --format json > next.out 2> next.err; echo $? > next.code
        $LAKECTL --lake disk/demo sql 'SELECT count(*) AS n FROM backtest.forecast_scores' --format csv > scores.csv
    ";
    let output = shell(&place, &["unshare", "--map-root-user", "--mount"], script);
    let read = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap_or_default();
    if !place.path().join("full.code").is_file() {
        // Past the capture of test output, so that it is read.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!(
                "SKIPPED a_full_disk: no namespace to mount in: {}\n",
                String::from_utf8_lossy(&output.stderr)
            ),
        );
        return;
    }
    let told = read("full.out") + &read("full.err");
    assert_eq!(read("full.code").trim(), "2", "{told}");
    assert!(
        told.contains("No space left on device") && told.contains("disk/demo/"),
        "{told}"
    );
    assert!(
        told.contains("the disk is full; nothing published was touched"),
        "{told}"
    );
    assert_eq!(
        read("full.log").matches("\"version\"").count(),
        1,
        "{}",
        read("full.log")
    );
    assert_eq!(
        read("next.code").trim(),
        "0",
        "{}{}",
        read("next.out"),
        read("next.err")
    );
    assert!(
        read("scores.csv")
            .lines()
            .nth(1)
            .is_some_and(|n| n.parse::<u64>().unwrap() > 0),
        "{}",
        read("scores.csv")
    );
    assert!(lake.join("lake.json").is_file());
}
