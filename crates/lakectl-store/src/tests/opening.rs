use std::collections::BTreeMap;
use std::fs;

use lakectl_core::ErrorKind;

use crate::object::Door;
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
    let parse = |text: &str| LakeAddress::parse_with(text, BTreeMap::new());
    let folder = parse("lake/demo").unwrap();
    assert_eq!(folder.folder().unwrap().to_str(), Some("lake/demo"));
    for (text, name, prefix, shown) in [
        ("s3://b", "b", "", "s3://b"),
        ("s3://b/", "b", "", "s3://b"),
        ("s3://b/a/lake/", "b", "a/lake", "s3://b/a/lake"),
    ] {
        let address = parse(text).unwrap();
        assert_eq!(address.to_string(), shown);
        let LakeAddress::Bucket(bucket) = address else {
            panic!("{text} is a bucket");
        };
        assert_eq!(
            (bucket.name.as_str(), bucket.prefix.as_str()),
            (name, prefix)
        );
    }
    for (text, word) in [
        ("gs://b/x", "`s3://`"),
        ("http://x", "`s3://`"),
        ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"),
        ("s3://b/a//c", "empty part"),
        ("s3://b/../c", "empty part"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.hint().unwrap().contains("s3://bucket/prefix"));
    }
}

#[test]
fn what_opens_a_bucket() {
    let key = [
        ("AWS_ACCESS_KEY_ID", "k"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
    ];
    let open = |more: &[(&str, &str)]| {
        let variables = more.iter().map(|(n, v)| (n.to_string(), v.to_string()));
        let address = LakeAddress::parse_with("s3://b/x", variables.collect()).unwrap();
        assert!(
            !format!("{address:?}").contains("hush"),
            "secrets are not shown"
        );
        Door::at(&address).map(|door| door.root().display().to_string())
    };
    let with_key = |more: &[(&'static str, &'static str)]| open(&[&key, more].concat());
    assert_eq!(with_key(&[]).unwrap(), "s3://b/x");
    for endpoint in [
        "https://x.example",
        "http://localhost:9",
        "http://127.0.0.1:9",
        "http://[::1]:9/",
    ] {
        with_key(&[("AWS_ENDPOINT_URL", endpoint)]).unwrap();
    }
    with_key(&[
        ("AWS_ENDPOINT_URL_S3", "http://x.example"),
        ("AWS_ALLOW_HTTP", "true"),
    ])
    .unwrap();
    for endpoint in [
        "http://x.example",
        "http://127.0.0.1.x.example",
        "http://127.0.0.1:80@x.example",
    ] {
        let error = with_key(&[("AWS_ENDPOINT_URL", endpoint)]).unwrap_err();
        assert!(
            error.to_string().contains("not encrypted"),
            "{endpoint}: {error}"
        );
        assert!(error.hint().unwrap().contains("AWS_ALLOW_HTTP"));
    }
    let error = open(&[]).unwrap_err();
    assert!(error.to_string().contains("no credentials"), "{error}");
    assert!(error.hint().unwrap().contains("AWS_ACCESS_KEY_ID"));
    let error = open(&key[..1]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("AWS_SECRET_ACCESS_KEY is not set"),
        "{error}"
    );
    let error = with_key(&[("AWS_TIMEOUT", "soon")]).unwrap_err();
    assert!(
        error.to_string().contains("s3://b/x") && error.hint().is_some(),
        "{error}"
    );
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
