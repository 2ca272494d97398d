//! Copies are whole, verified, resumable, and never mix two histories.

use std::fs;
use std::path::Path;

use super::collecting::files;
use super::{hours, lake, made, publish, request, table};
use crate::{Copied, Copying, Lake, Open, StoreError, VerifyRequest, VersionRef};

fn some_lake(root: &Path) -> Lake {
    let lake = lake(root);
    for n in 1..=3 {
        publish(&lake, "a.b", "all", &format!("r{n}"), &hours(n));
    }
    publish(&lake, "a.c", "date=1970-01-01", "r4", &hours(4));
    let cached = made(&lake, "a.c", "date=1970-01-02", "r5", "x", &hours(5));
    lake.record("r5", &[cached]).unwrap();
    lake.leave_note("r5", 4, &[0]).unwrap();
    lake
}

fn main() -> Copying {
    Copying::Branch("main".to_owned())
}

fn copy(from: &Lake, to: &Path, what: &Copying) -> Result<Copied, StoreError> {
    let target = Lake::open(to, from.profile(), Open::OrCreate)?;
    from.copy_to(&target, what, &|_| {})
}

fn sound(root: &Path) {
    let deep = VerifyRequest {
        deep: true,
        at: None,
    };
    let found = lake(root).verify(&deep, &|_| {}).unwrap();
    assert!(found.damages.is_empty(), "{:#?}", found.damages);
}

#[test]
fn a_branch_is_copied_once_and_continued() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = some_lake(from.path());
    let done = copy(&source, to.path(), &main()).unwrap();
    assert_eq!(
        (done.copied.files, done.skipped.files, done.records),
        (4, 0, 5)
    );
    assert_eq!(done.versions["main"], 4);
    sound(to.path());
    let copied = files(to.path());
    assert!(
        files(from.path())
            .iter()
            .filter(|(path, _)| path.starts_with("_log"))
            .all(|(path, bytes)| copied.get(path) == Some(bytes))
    );
    assert_eq!(
        lake(to.path())
            .at(VersionRef::Number(2))
            .unwrap()
            .rows(&table("a.b")),
        2
    );
    // Again: nothing. After another version: only that.
    let done = copy(&source, to.path(), &main()).unwrap();
    assert_eq!(
        (done.copied.files, done.skipped.files, done.records),
        (0, 4, 0)
    );
    publish(&source, "a.b", "all", "r6", &hours(6));
    let done = copy(&source, to.path(), &main()).unwrap();
    assert_eq!(
        (done.copied.files, done.skipped.files, done.records),
        (1, 4, 2)
    );
    assert_eq!(lake(to.path()).head().unwrap().rows(&table("a.b")), 6);
}

#[test]
fn all_of_a_lake_has_its_results_and_notes() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = some_lake(from.path());
    copy(&source, to.path(), &Copying::All).unwrap();
    assert!(files(to.path()) == files(from.path()));
    assert_eq!(lake(to.path()).cells().unwrap().len(), 5);
}

#[test]
fn one_version_alone() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = some_lake(from.path());
    let at = Copying::Version("main".to_owned(), VersionRef::Number(3));
    let done = copy(&source, to.path(), &at).unwrap();
    assert_eq!((done.copied.files, done.versions["main"]), (1, 3));
    sound(to.path());
    let target = lake(to.path());
    assert_eq!(target.head().unwrap().rows(&table("a.b")), 3);
    let error = target.at(VersionRef::Number(2)).unwrap_err().to_string();
    assert!(error.contains("oldest version kept is 3"), "{error}");
    // The rest of the branch can follow.
    copy(&source, to.path(), &main()).unwrap();
    assert_eq!(lake(to.path()).head().unwrap().version, 4);
    sound(to.path());
}

#[test]
fn an_interrupted_copy_shows_nothing_and_goes_on() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = some_lake(from.path());
    let path = files(from.path())
        .into_keys()
        .find(|path| path.starts_with("data/a/c"))
        .unwrap();
    let good = fs::read(from.path().join(&path)).unwrap();
    // The source cannot give one of its files.
    fs::remove_file(from.path().join(&path)).unwrap();
    let error = copy(&source, to.path(), &main()).unwrap_err();
    assert!(
        error.is_damage() && error.to_string().contains(&path),
        "{error}"
    );
    assert_eq!(
        lake(to.path()).head().unwrap().version,
        0,
        "nothing can be read yet"
    );
    fs::write(from.path().join(&path), good).unwrap();
    // What came over is damaged on the way.
    let there = files(to.path())
        .into_keys()
        .find(|path| path.starts_with("data/"))
        .unwrap();
    fs::write(to.path().join(&there), "other bytes").unwrap();
    let done = copy(&source, to.path(), &main()).unwrap();
    assert_eq!((done.copied.files, done.skipped.files), (2, 2));
    sound(to.path());
}

#[test]
fn a_copy_mends_what_is_damaged() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = some_lake(from.path());
    copy(&source, to.path(), &Copying::All).unwrap();
    let good = files(to.path());
    for path in good.keys().filter(|path| *path != "lake.json") {
        fs::write(to.path().join(path), "damaged").unwrap();
    }
    copy(&source, to.path(), &Copying::All).unwrap();
    let mut mended = files(to.path());
    let aside = mended
        .keys()
        .filter(|path| path.starts_with("_aside"))
        .count();
    assert_eq!(aside, 10, "records are kept for a look");
    mended.retain(|path, _| !path.starts_with("_aside"));
    assert!(mended == good);
    sound(to.path());
}

#[test]
fn other_histories_and_other_profiles_are_refused() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = some_lake(from.path());
    let at = Copying::Version("main".to_owned(), VersionRef::Number(2));
    copy(&source, to.path(), &at).unwrap();
    let target = lake(to.path());
    publish(&target, "a.b", "all", "theirs", &hours(9));
    let before = files(to.path());
    let error = copy(&source, to.path(), &main()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("another version 3 of branch main"), "{text}");
    assert!(error.hint().is_some());
    assert!(files(to.path()) == before, "nothing was written");
    // A target that is ahead is no other history.
    let done = target.copy_to(&target_of(from.path()), &at, &|_| {});
    assert!(done.is_ok(), "{done:?}");

    let other = tempfile::tempdir().unwrap();
    Lake::open(other.path(), "archive", Open::OrCreate).unwrap();
    let error = copy(&source, other.path(), &main()).unwrap_err();
    assert!(matches!(error, StoreError::OtherProfile { .. }), "{error}");
}

fn target_of(root: &Path) -> Lake {
    lake(root)
}

#[test]
fn a_target_that_was_written_to_meanwhile_keeps_its_versions() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = some_lake(from.path());
    copy(&source, to.path(), &main()).unwrap();
    let target = lake(to.path());
    let head = target.head().unwrap();
    let cell = made(&target, "a.b", "all", "r9", "9", &hours(9));
    target.commit(request(&head, "r9", 9, vec![cell])).unwrap();
    // The source has nothing that the target lacks.
    let done = copy(&source, to.path(), &main()).unwrap();
    assert_eq!((done.copied.files, done.records), (0, 0));
    assert_eq!(lake(to.path()).head().unwrap().version, 5);
}
