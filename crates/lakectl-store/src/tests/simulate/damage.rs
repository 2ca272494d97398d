//! Every bit of every file flipped, and every file cut at every length: a loud error, never other rows.

use std::sync::Mutex;

use super::disk::{Content, SimDisk};
use super::script::Script;
use super::work::{Told, calm, empty_disk, on_disk, read_all, root, work};
use super::{all, tell};

/// A small lake: two versions, two segments of cells, four data files.
fn small() -> Content {
    let disk = SimDisk::new(empty_disk(), &Script::new(0, 1, None), 0);
    work(&on_disk(&disk).unwrap(), 0, &Mutex::new(Told::default())).unwrap();
    disk.content.lock().unwrap().clone()
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
        let read = |content: Content| {
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
    assert!(whole.paths().iter().all(|path| path.starts_with(root())));
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
