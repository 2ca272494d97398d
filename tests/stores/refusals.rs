//! Addresses and stores that cannot hold a lake: said at once, with what to do.

use lakectl_core::ErrorKind;
use lakectl_store::{Lake, LakeAddress, Open, StoreError};
use lakectl_tests::s3::S3Server;

use crate::common::{open, work};

fn at(server: &S3Server, address: &str, changes: &[(&str, &str)]) -> LakeAddress {
    let mut variables = server.variables();
    for (name, value) in changes {
        variables.insert((*name).to_owned(), (*value).to_owned());
    }
    LakeAddress::parse_with(address, variables).unwrap()
}

#[test]
fn what_is_wrong_is_told() {
    let server = S3Server::start();
    let cases: [(LakeAddress, &str, &str); 3] = [
        (
            at(&server, "s3://nowhere/x", &[]),
            "NoSuchBucket",
            "make the bucket",
        ),
        (
            at(
                &server,
                "s3://lakes/x",
                &[("AWS_SECRET_ACCESS_KEY", "wrong")],
            ),
            "SignatureDoesNotMatch",
            "AWS_SECRET_ACCESS_KEY",
        ),
        (
            at(
                &server,
                "s3://lakes/x",
                &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")],
            ),
            "Connection refused",
            "AWS_ENDPOINT_URL",
        ),
    ];
    for (address, word, advice) in cases {
        let error = open(&address).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(word) && text.contains(&address.to_string()),
            "{text}"
        );
        assert_eq!(error.kind(), ErrorKind::Environment, "{text}");
        assert!(
            error.hint().unwrap().contains(advice),
            "{text}: {:?}",
            error.hint()
        );
    }
    assert!(server.objects().is_empty());
}

#[test]
fn a_store_without_conditional_puts() {
    let server = S3Server::start();
    server.ignore_conditions();
    let error = open(&server.lake("x")).unwrap_err();
    assert!(error.to_string().contains("If-None-Match"), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn lakes_beside_each_other_and_beside_strangers() {
    let server = S3Server::start();
    let missing = Lake::open(server.lake("a"), "test", Open::Existing).unwrap_err();
    assert!(matches!(missing, StoreError::NoLake { .. }), "{missing}");
    assert_eq!(missing.to_string(), "there is no lake at s3://lakes/a");
    work(&server.lake("a"), 2).unwrap();
    work(&server.lake("ab"), 1).unwrap();
    let versions = |prefix| open(&server.lake(prefix)).unwrap().head().unwrap().version;
    assert_eq!((versions("a"), versions("ab")), (2, 1));

    let error = open(&server.lake("")).unwrap_err();
    assert!(
        error.to_string().contains("is not a lake: it holds `a`"),
        "{error}"
    );
    server.replace("photos/1.jpg", Some("jpg".into()));
    let error = open(&server.lake("photos")).unwrap_err();
    assert!(error.to_string().contains("`1.jpg`"), "{error}");
    let other = Lake::open(server.lake("a"), "archive", Open::OrCreate).unwrap_err();
    assert!(matches!(other, StoreError::OtherProfile { .. }), "{other}");
}
