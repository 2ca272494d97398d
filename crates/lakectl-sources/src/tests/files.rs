use std::fs;

use lakectl_core::PartitionKey;

use super::dataset;
use crate::{Dataset, SourceError, archive};

fn daily() -> Dataset {
    dataset(
        "format = 'fred_csv'\nfeeds = 'rates'\nlag = '1d'\nglob = 'a/*/r_*.csv'\nexclude = ['a/*/r_skip*']\npartition = 'day'\n\
         document_time = 'name:%Y%m%dT%H%M%SZ'",
    )
}

#[test]
fn lists_files_with_tokens_that_follow_name_and_content() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a/x");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(root.path().join("a/x/r_folder.csv")).unwrap();
    let put = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    put("r_20260105T092145Z.csv", "one");
    put("r_20260104T092145Z.csv", "one");
    put("r_undated.csv", "one");
    put("r_skip_20260104T092145Z.csv", "one");
    put("other.csv", "one");
    let listed = archive::list(root.path(), &daily()).unwrap().files;
    let seen: Vec<(&str, String)> = listed
        .iter()
        .map(|file| (file.name.as_str(), file.partition.to_string()))
        .collect();
    let want = [
        ("a/x/r_20260104T092145Z.csv", "date=2026-01-04"),
        ("a/x/r_20260105T092145Z.csv", "date=2026-01-05"),
        ("a/x/r_undated.csv", "date=2026-01-04"),
    ];
    assert_eq!(seen, want.map(|(name, key)| (name, key.to_owned())));
    assert_ne!(listed[0].token, listed[1].token);
    assert_eq!(listed[0].content, listed[1].content);
    assert_eq!(listed[2].document_time, None);

    let document = archive::fetch(&listed[1]).unwrap();
    assert_eq!(document.body.as_ref(), b"one");
    assert_eq!(document.media_type, "text/csv");
    assert_eq!(document.document_time, listed[1].document_time);

    put("r_20260105T092145Z.csv", "two");
    let again = archive::list(root.path(), &daily()).unwrap().files;
    assert_eq!(again[0].token, listed[0].token);
    assert_ne!(again[1].token, listed[1].token);
    let remembered = archive::list_with(root.path(), &daily(), &|stamp| {
        again
            .iter()
            .find(|file| file.stamp == *stamp)
            .map(|file| file.content)
    });
    assert_eq!(remembered.unwrap().files, again);
    assert_ne!(archive::fetch(&again[1]).unwrap().id, document.id);
}

#[test]
fn no_change_of_a_file_leaves_its_stamp() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a/x");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("r_20260105T092145Z.csv");
    fs::write(&path, "one").unwrap();
    let before = archive::list(root.path(), &daily()).unwrap().files;
    let remember =
        |stamp: &archive::FileStamp| (*stamp == before[0].stamp).then_some(before[0].content);
    // Another content of the same size, and the time of the old one put back.
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(&path, "two").unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    let after = archive::list_with(root.path(), &daily(), &remember)
        .unwrap()
        .files;
    assert_eq!(
        after[0].stamp.modified_nanos,
        before[0].stamp.modified_nanos
    );
    assert_ne!(after[0].content, before[0].content);
    // Another file under the name.
    let other = folder.join("other");
    fs::write(&other, "six").unwrap();
    fs::rename(&other, &path).unwrap();
    let after = archive::list_with(root.path(), &daily(), &remember)
        .unwrap()
        .files;
    assert_ne!(after[0].content, before[0].content);
}

#[test]
fn a_missing_root_is_an_error_and_a_missing_file_is_listed() {
    let root = tempfile::tempdir().unwrap();
    let missing = archive::list(&root.path().join("nowhere"), &daily());
    assert!(matches!(missing, Err(SourceError::RootMissing { .. })));
    assert_eq!(archive::list(root.path(), &daily()).unwrap().files, []);
    #[cfg(unix)]
    {
        fs::create_dir_all(root.path().join("a/x")).unwrap();
        let link = root.path().join("a/x/r_20260105T092145Z.csv");
        std::os::unix::fs::symlink("gone", link).unwrap();
        let listed = archive::list(root.path(), &daily()).unwrap().files;
        assert!(listed[0].problem.is_some());
        let error = archive::fetch(&listed[0]).unwrap_err();
        assert_eq!(error.kind(), lakectl_core::ErrorKind::Environment);
    }
}

#[test]
fn a_dataset_without_grain_has_one_partition() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("x.csv"), "a").unwrap();
    let fixed = dataset(
        "format = 'fred_csv'\nfeeds = 'rates'\nlag = '1d'\nglob = '*.csv'\ndocument_time = '2026-01-05T12:00:00Z'",
    );
    let listed = archive::list(root.path(), &fixed).unwrap().files;
    assert_eq!(listed[0].partition, PartitionKey::default());
    let by_path = dataset(
        "format = 'fred_csv'\nfeeds = 'rates'\nlag = '1d'\nglob = '*/*.csv'\ndocument_time = 'path:v_%Y-%m-%d/'\npartition = 'month'",
    );
    fs::create_dir(root.path().join("v_2026-03-23")).unwrap();
    fs::write(root.path().join("v_2026-03-23/y.csv"), "a").unwrap();
    let listed = archive::list(root.path(), &by_path).unwrap().files;
    assert_eq!(listed[0].partition.to_string(), "month=2026-03");
}

/// A folder that cannot be entered, whoever asks: the tests may run as root.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_entered_is_named_and_gives_no_file() {
    let root = tempfile::tempdir().unwrap();
    let around = |name: &str| {
        std::os::unix::fs::symlink(name, root.path().join(name)).unwrap();
        root.path().join(name)
    };
    let fixed = |glob: &str| {
        dataset(&format!(
            "format = 'fred_csv'\nfeeds = 'rates'\nlag = '1d'\nglob = '{glob}'\npartition = 'month'\ndocument_time = 'name:%Y%m%d'"
        ))
    };
    let vals = around("vals");
    for glob in ["vals/v_*.csv", "vals/x/v_*.csv"] {
        let found = archive::list(root.path(), &fixed(glob)).unwrap();
        assert_eq!(found.files, []);
        let told: Vec<String> = found.closed.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(vals.to_str().unwrap()), "{told:?}");
    }
    // One that is not there is no trouble: nothing was recorded yet.
    let found = archive::list(root.path(), &fixed("none/v_*.csv")).unwrap();
    assert!(found.files.is_empty() && found.closed.is_empty());
}
