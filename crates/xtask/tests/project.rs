//! The project itself is tidy, and its generated pages are current.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use xtask::{pages, project_root, tidy};

#[test]
fn the_project_is_tidy() {
    let problems = tidy::check(&project_root()).unwrap();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn generated_pages_are_current() {
    let root = project_root();
    for (path, text) in pages::all(&root).unwrap() {
        let found = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(
            found == text,
            "{path} is out of date; run `cargo xtask docs`"
        );
    }
}

/// A small project with one fault of each kind.
fn plant(root: &Path) {
    let files = [
        (
            "crates/lakectl-core/Cargo.toml",
            "[package]\nname = \"lakectl-core\"\n[lints]\nworkspace = true\n[dev-dependencies]\nlakectl-sql.workspace = true\n",
        ),
        (
            "crates/lakectl-stats/Cargo.toml",
            "[package]\nname = \"lakectl-stats\"\n[dependencies]\nlibm = \"0.2\"\n",
        ),
        (
            "crates/lakectl-new/Cargo.toml",
            "[package]\nname = \"lakectl-new\"\n[lints]\nworkspace = true\n",
        ),
        (
            "crates/lakectl-core/src/lib.rs",
            concat!("fn f() {\n    to", "do!()\n}\n"),
        ),
        (
            "pipelines/a.toml",
            "[[stage]]\ntable = \"a.made\"\nkind = \"sql\"\ndescription = \"Made.\"\n[[stage]]\ntable = \"a.lost\"\nkind = \"sql\"\n",
        ),
        ("sql/a/made.sql", "SELECT 1"),
        ("sql/a/orphan.sql", "SELECT 1"),
        (
            "docs/page.md",
            "# One page\n[here](#one-page) [there](gone.md) [up](other.md#no) `[code](x.md)`\n```\n[code](y.md)\n```\n",
        ),
        ("docs/other.md", "# Other\n[`code`](nowhere.md)\n"),
    ];
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::write(
        root.join("crates/lakectl-core/src/long.rs"),
        "//\n".repeat(tidy::LINES_MAX + 1),
    )
    .unwrap();
}

#[test]
fn each_fault_is_found() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path());
    let mut found = tidy::check(folder.path()).unwrap();
    found.sort();
    let wanted = [
        "crates/lakectl-core/Cargo.toml: `lakectl-core` may not use `lakectl-sql`",
        "crates/lakectl-core/src/lib.rs:2:",
        "crates/lakectl-core/src/long.rs: 701 lines",
        "crates/lakectl-new/Cargo.toml: `lakectl-new` is not in the list",
        "crates/lakectl-stats/Cargo.toml: `lakectl-stats` does not take the lints",
        "docs/other.md:2: the link `nowhere.md` leads to no file",
        "docs/page.md:2: the link `gone.md` leads to no file",
        "docs/page.md:2: the link `other.md#no` leads to no heading",
        "pipelines/a.toml: `a.lost` has no `sql/a/lost.sql`",
        "pipelines/a.toml: `a.lost` needs a description",
        "sql/a/orphan.sql belongs to no declared stage",
    ];
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.starts_with(wanted), "{found}\n{wanted}");
    }
}
