use std::fs;

use lakectl_core::ErrorKind;

use crate::{Lake, LakeAddress, Open, StoreError};

#[test]
fn a_lake_is_made_once_and_refuses_another_profile() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("lake/demo");
    let missing = Lake::open(&root, "demo", Open::Existing).unwrap_err();
    assert!(matches!(missing, StoreError::NoLake { .. }), "{missing}");
    assert!(!dir.path().join("lake").exists(), "a look must not write");
    Lake::open(&root, "demo", Open::OrCreate).unwrap();
    let text = fs::read_to_string(root.join("lake.json")).unwrap();
    assert_eq!(text, "{\"format\":2,\"profile\":\"demo\"}\n");
    Lake::open(&root, "demo", Open::Existing).unwrap();
    let error = Lake::open(&root, "archive", Open::OrCreate).unwrap_err();
    let expected = format!(
        "the lake at {} was made with profile demo, this run uses archive",
        root.display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.hint().unwrap().contains("--profile demo"));
}

#[test]
fn folders_that_are_not_lakes() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("x");
    fs::create_dir(&root).unwrap();
    for harmless in ["README.md", ".gitkeep", ".tmp-1234"] {
        fs::write(root.join(harmless), "").unwrap();
    }
    fs::write(root.join("photo.jpg"), "").unwrap();
    let error = Lake::open(&root, "demo", Open::OrCreate).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is not a lake: it holds `photo.jpg`"),
        "{error}"
    );
    fs::remove_file(root.join("photo.jpg")).unwrap();
    Lake::open(&root, "demo", Open::OrCreate).unwrap();

    let deep = dir.path().join("no/such/folder");
    let error = Lake::open(&deep, "demo", Open::OrCreate).unwrap_err();
    assert!(error.hint().unwrap().contains("does not exist"), "{error}");
    assert!(!dir.path().join("no").exists());

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Lake::open(&file, "demo", Open::OrCreate).unwrap_err();
    assert!(error.hint().unwrap().contains("file stands"), "{error}");
    assert!(Lake::open(&file.join("lake"), "demo", Open::OrCreate).is_err());
}

#[test]
fn lake_json_of_another_kind() {
    let dir = tempfile::tempdir().unwrap();
    for (text, expected) in [
        ("{\"format\":9,\"profile\":\"demo\"}", "has format 9"),
        ("{\"format\":1,\"prof", "damaged file"),
        ("", "damaged file"),
    ] {
        fs::write(dir.path().join("lake.json"), text).unwrap();
        let error = Lake::open(dir.path(), "demo", Open::OrCreate).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains("lake.json"), "{error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn addresses() {
    assert_eq!(
        LakeAddress::parse("lake/demo").unwrap().folder().to_str(),
        Some("lake/demo")
    );
    for address in ["s3://bucket/prefix", "gs://b", "http://x"] {
        let error = LakeAddress::parse(address).unwrap_err();
        assert!(error.to_string().contains("not supported yet"), "{error}");
        assert!(error.to_string().contains(address));
    }
}

#[test]
fn many_open_a_new_lake_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("lake");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| Lake::open(&root, "demo", Open::OrCreate).unwrap());
        }
    });
    let names = fs::read_dir(&root).unwrap().count();
    assert_eq!(names, 1, "no temporary file is left");
}
