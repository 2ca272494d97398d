//! Every bit of every file flipped, and every file cut at every length: a loud error, never other rows.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::disk::{Content, SimDisk};
use super::script::Script;
use super::work::{Told, calm, empty_disk, on_disk, read_all, root, work};
use super::{all, tell};
use crate::VerifyRequest;

/// A small lake: two versions, two segments of cells, four data files.
fn small() -> Content {
    let disk = SimDisk::new(empty_disk(), &Script::new(0, 1, None), 0);
    work(&on_disk(&disk).unwrap(), 0, &Mutex::new(Told::default())).unwrap();
    disk.content.lock().unwrap().clone()
}

/// Damage to what is made for other engines: the lake is read as before, and the next projection writes it again. What a
/// log says of a table is nobody's to read here, so that has to be asked for.
fn mended(whole: &Content, damaged: Content, rows: &u64, noticed: bool) {
    let disk = SimDisk::new(damaged, &Script::new(0, 1, None), 0);
    let lake = on_disk(&disk).unwrap();
    assert_eq!(read_all(&lake).unwrap(), *rows);
    match noticed {
        true => assert!(lake.project_delta(None).unwrap().rebuilt),
        false => assert!(lake.rebuild_delta(&BTreeSet::new()).unwrap().rebuilt),
    }
    let mut after = disk.content.lock().unwrap().clone();
    let mut whole = whole.clone();
    assert_eq!(after.paths(), whole.paths());
    for path in whole.paths() {
        assert_eq!(
            after.bytes_mut(&path),
            whole.bytes_mut(&path),
            "{}",
            path.display()
        );
    }
}

/// Each file gone in turn. What nothing published depends on may be lost; verification names everything else.
fn losses(whole: &Content, rows: u64) -> u64 {
    let mut told = 0;
    for path in whole.paths() {
        let mut content = whole.clone();
        content.remove(&path).unwrap();
        let below = path.strip_prefix(root()).unwrap().display().to_string();
        if below == "lake.json" {
            // What is there is then a stranger's.
            assert!(calm(content).is_err());
            continue;
        }
        let lake = calm(content).unwrap();
        if ["_cells/", "_parts/", "_projections/"]
            .iter()
            .any(|f| below.starts_with(f))
        {
            assert_eq!(read_all(&lake).unwrap(), rows, "{below}");
            continue;
        }
        let request = VerifyRequest {
            deep: true,
            at: None,
        };
        let found = lake.verify(&request, &|_| {}).unwrap();
        let named = found.damages.iter().any(|damage| damage.path == below);
        assert!(named, "{below}: {:?}", found.damages);
        told += u64::from(!below.contains("_delta_log"));
    }
    told
}

#[test]
fn no_damage_is_silent() {
    let whole = small();
    let rows = read_all(&calm(whole.clone()).unwrap()).unwrap();
    // A prime, so that a sample meets every bit of a byte.
    let stride = if all() { 1 } else { 97 };
    let (mut flips, mut cuts) = (0, 0);
    for path in whole.paths() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let size = whole.clone().bytes_mut(&path).len();
        // What other engines are given is no part of the lake: it is made anew.
        let given = path.components().any(|part| {
            matches!(
                part.as_os_str().to_str(),
                Some("_delta_log" | "_projections")
            )
        });
        let read = |content: Content| {
            if given {
                return mended(&whole, content, &rows, name == "delta.json");
            }
            let found = calm(content).and_then(|lake| read_all(&lake));
            match found {
                Err(error) => {
                    let text = format!("{error} {:?}", error.hint());
                    assert!(error.hint().is_some(), "{text}");
                    assert!(text.contains(name) || name == "lake.json", "{name}: {text}");
                }
                // Of lake.json only the fields count; it has two.
                Ok(found) => assert!(name == "lake.json" && found == rows, "{}", path.display()),
            }
        };
        for bit in (0..size * 8).step_by(stride) {
            let mut content = whole.clone();
            content.bytes_mut(&path)[bit / 8] ^= 1 << (bit % 8);
            read(content);
            flips += 1;
        }
        for length in (0..size - 1).step_by(stride) {
            let mut content = whole.clone();
            content.bytes_mut(&path).truncate(length);
            read(content);
            cuts += 1;
        }
    }
    let gone = losses(&whole, rows);
    assert!(whole.paths().iter().all(|path| path.starts_with(root())));
    tell(
        "a log or data file deleted",
        gone,
        "named by verify, the newest version too",
    );
    tell(
        "one bit flipped in a log, cell or data file",
        flips,
        "loud error each time",
    );
    tell(
        "a log, cell or data file cut off",
        cuts,
        "loud error each time",
    );
}
