use super::*;

fn one(name: &str, body: &str, sequence: i64) -> StoredDocument {
    let body = Bytes::copy_from_slice(body.as_bytes());
    StoredDocument {
        document: Document::new(name, "request", "text/plain", body, None),
        sequence,
    }
}

fn told(mut all: Vec<StoredDocument>) -> Vec<String> {
    all.sort_by(|a, b| (&a.document.name, a.sequence).cmp(&(&b.document.name, b.sequence)));
    let text = |one: &StoredDocument| {
        let body = String::from_utf8_lossy(&one.document.body).into_owned();
        format!("{}{}={body}", one.document.name, one.sequence)
    };
    all.iter().map(text).collect()
}

#[test]
fn two_sides_keep_the_documents_of_both() {
    let base = || vec![one("a", "x", 0), one("b", "x", 0)];
    let with = |more: &[StoredDocument]| [base(), more.to_vec()].concat();
    let cases = [
        // The same news on both sides stand once.
        (
            vec![one("a", "y", 1)],
            vec![one("a", "y", 1)],
            vec!["a0=x", "a1=y", "b0=x"],
        ),
        // Different news: theirs keep their numbers.
        (
            vec![one("a", "y", 1)],
            vec![one("a", "z", 1)],
            vec!["a0=x", "a1=z", "a2=y", "b0=x"],
        ),
        // A new name, a name of both, and a body that came back.
        (
            vec![one("a", "y", 1), one("a", "x", 2), one("c", "p", 0)],
            vec![one("a", "z", 1), one("c", "q", 0), one("c", "p", 1)],
            vec!["a0=x", "a1=z", "a2=y", "a3=x", "b0=x", "c0=q", "c1=p"],
        ),
        (vec![], vec![one("d", "x", 0)], vec!["a0=x", "b0=x", "d0=x"]),
        (vec![one("d", "x", 0)], vec![], vec!["a0=x", "b0=x", "d0=x"]),
    ];
    for (ours, theirs, expected) in cases {
        let joined = join(&base(), with(&ours), with(&theirs));
        assert_eq!(told(joined.clone()), expected);
        let again = join(&base(), with(&ours), joined);
        assert_eq!(told(again), expected, "a second time adds nothing");
    }
}
