use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, ListArray, RecordBatch, StringViewArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use proptest::prelude::*;

use super::{batch, contract, hours, key, lake, made, schema, spec, table};
use crate::{Lake, StoreError, WriteSpec, Written, contract_of, schema_of};

fn write(lake: &Lake, batches: &[RecordBatch], daily: bool) -> Result<Written, StoreError> {
    let (table, key) = (table("a.b"), key("year=1970"));
    lake.write_rows(&table, &key, batches, &schema(), &spec(daily))
}

#[test]
fn rows_come_back_as_they_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let rows = batch(&hours(40_000));
    let cell = made(
        &lake,
        "a.b",
        "asset=BTC/year=1970",
        "r",
        "1",
        &hours(40_000),
    );
    lake.record("r", std::slice::from_ref(&cell)).unwrap();
    let file = cell.file.clone().unwrap();
    assert_eq!(
        file.path,
        format!("data/a/b/asset=BTC/year=1970/{}.parquet", file.hash)
    );
    let back = lake.read(&cell, None).unwrap();
    assert_eq!(back[0].schema(), schema(), "types and nullability survive");
    assert_eq!(concat_batches(&schema(), &back).unwrap(), rows);
    let names = ["note".to_owned(), "level".to_owned()];
    let some = lake.read(&cell, Some(&names)).unwrap();
    assert_eq!(some[0].schema().field(0).name(), "note");
    assert_eq!(
        some[0].column(1),
        &back[0].column(2).slice(0, some[0].num_rows())
    );
    let none = lake.read(&cell, Some(&[])).unwrap();
    assert_eq!(
        none.iter().map(RecordBatch::num_rows).sum::<usize>(),
        40_000
    );
    let error = lake.read(&cell, Some(&["nope".to_owned()])).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no column `nope`; it has asset, event_time"),
        "{error}"
    );
    let times = cell.times.unwrap();
    assert_eq!(
        (times.0.micros(), times.1.micros()),
        (0, 39_999 * 3_600_000_000)
    );
}

#[test]
fn the_same_rows_give_the_same_file_and_no_rows_give_none() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let rows = hours(10_000);
    let whole = write(&lake, &[batch(&rows)], true).unwrap();
    let parts = [
        batch(&rows[..1]),
        batch(&[]),
        batch(&rows[1..7_000]),
        batch(&rows[7_000..]),
    ];
    assert_eq!(write(&lake, &parts, true).unwrap(), whole);
    assert_eq!(whole.days.len(), 10_000_usize.div_ceil(24));
    let empty = write(&lake, &[], false).unwrap();
    assert_eq!((empty.rows, &empty.file, empty.times), (0, &None, None));
    assert_eq!(write(&lake, &[batch(&[])], false).unwrap(), empty);
    assert_ne!(
        write(&lake, &[batch(&rows[..1])], false).unwrap().rows_hash,
        empty.rows_hash
    );
    let cell = empty.into_cell(
        lakectl_core::TaskKey {
            table: table("a.b"),
            partition: key("all"),
        },
        lakectl_core::Fingerprint::of(b"x"),
        Default::default(),
        "r",
        0.0,
    );
    assert!(lake.read(&cell, None).unwrap().is_empty());
}

#[test]
fn days_are_digested_alone() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let before = write(&lake, &[batch(&hours(72))], true).unwrap();
    let mut rows = hours(72);
    rows[30].1 = Some(9.75);
    let after = write(&lake, &[batch(&rows)], true).unwrap();
    let changed: Vec<String> = before
        .days
        .iter()
        .filter(|(day, digest)| after.days[day] != **digest)
        .map(|(day, _)| day.to_string())
        .collect();
    assert_eq!(changed, ["1970-01-02"]);
    assert_ne!(before.rows_hash, after.rows_hash);
    // A day's digest does not depend on the days around it.
    let alone = write(&lake, &[batch(&hours(72)[24..48])], true).unwrap();
    let day = *alone.days.keys().next().unwrap();
    assert_eq!(alone.days[&day], before.days[&day]);
    // Two days whose rows alternate keep their digests, and the order of all rows still counts.
    let mixed: Vec<_> = (0..24)
        .flat_map(|h| [hours(72)[h], hours(72)[h + 24]])
        .collect();
    let mixed = write(&lake, &[batch(&mixed)], true).unwrap();
    assert_eq!(mixed.days[&day], before.days[&day]);
    let sorted = write(&lake, &[batch(&hours(48))], true).unwrap();
    assert_eq!(mixed.days, sorted.days);
    assert_ne!(mixed.rows_hash, sorted.rows_hash);
}

#[test]
fn a_golden_digest_guards_the_definition() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let plain = write(&lake, &[batch(&hours(30))], false).unwrap();
    let daily = write(&lake, &[batch(&hours(30))], true).unwrap();
    let found = [plain.rows_hash.short(), daily.rows_hash.short()];
    assert_eq!(
        found,
        ["3b38c631", "9764ab01"],
        "a change here invalidates every lake there is"
    );
}

#[test]
fn a_digest_can_be_made_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let mut bytes = b"rows".to_vec();
    for column in contract().columns() {
        for word in [column.name.as_bytes(), column.kind.word().as_bytes()] {
            bytes.extend((word.len() as u32).to_le_bytes());
            bytes.extend(word);
        }
    }
    bytes.splice(0..0, (bytes.len() as u32).to_le_bytes());
    let put = |bytes: &mut Vec<u8>, value: Option<&[u8]>, null: usize| {
        bytes.push(value.is_some().into());
        bytes.extend(value.map_or(vec![0; null], <[u8]>::to_vec));
    };
    let text = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    for (hour, level, n, note) in hours(5_000) {
        put(&mut bytes, Some(&text("BTC")), 4);
        put(&mut bytes, Some(&(hour * 3_600_000_000).to_le_bytes()), 8);
        put(
            &mut bytes,
            level.map(f64::to_le_bytes).as_ref().map(|b| &b[..]),
            8,
        );
        put(
            &mut bytes,
            n.map(i64::to_le_bytes).as_ref().map(|b| &b[..]),
            8,
        );
        put(
            &mut bytes,
            n.map(|n| [u8::from(n > 0)]).as_ref().map(|b| &b[..]),
            1,
        );
        put(&mut bytes, Some(&((hour / 24) as i32).to_le_bytes()), 4);
        for _ in 0..2 {
            put(&mut bytes, note.map(text).as_deref(), 4);
        }
    }
    let found = write(&lake, &[batch(&hours(5_000))], false)
        .unwrap()
        .rows_hash;
    assert_eq!(found, lakectl_core::Fingerprint::of(&bytes));
}

#[test]
fn values_that_may_not_be_stored() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut rows = hours(9);
        rows[4].1 = Some(value);
        let parts = [batch(&rows[..3]), batch(&rows[3..])];
        let error = write(&lake, &parts, false).unwrap_err();
        let expected = "a.b year=1970: column `level` is not a finite number in row 4";
        assert_eq!(error.to_string(), expected);
    }
    let loose = contract()
        .to_string()
        .replace("event_time ts", "event_time ts?");
    let loose = schema_of(&loose.parse().unwrap());
    let mut columns = batch(&hours(3)).columns().to_vec();
    columns[1] = arrow::array::new_null_array(columns[1].data_type(), 3);
    let nulls = RecordBatch::try_new(loose.clone(), columns).unwrap();
    let error = write(&lake, std::slice::from_ref(&nulls), false).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`event_time` is null but may not be, in row 0"),
        "{error}"
    );
    let (t, k) = (table("a.b"), key("all"));
    let error = lake
        .write_rows(&t, &k, &[nulls], &loose, &spec(true))
        .unwrap_err();
    assert!(
        error.to_string().contains("time column but null"),
        "{error}"
    );
}

#[test]
fn negative_zero_is_zero() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let zero = write(&lake, &[batch(&[(0, Some(0.0), None, None)])], false).unwrap();
    let negative = write(&lake, &[batch(&[(0, Some(-0.0), None, None)])], false).unwrap();
    assert_eq!(zero, negative, "the file too");
}

#[test]
fn text_in_any_layout_is_the_same_text() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let plain = batch(&hours(50));
    let view: StringViewArray = plain.column(6).as_string::<i32>().iter().collect();
    let mut fields: Vec<Arc<Field>> = schema().fields().to_vec();
    fields[6] = Arc::new(Field::new("note", DataType::Utf8View, true));
    let mut columns = plain.columns().to_vec();
    columns[6] = Arc::new(view) as ArrayRef;
    let view = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    assert_eq!(
        write(&lake, &[view], false).unwrap(),
        write(&lake, &[plain], false).unwrap()
    );
}

#[test]
fn columns_that_do_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let error = write(&lake, &[batch(&hours(3)).project(&[0, 1]).unwrap()], false).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("a.b: expected columns (asset Utf8, "),
        "{error}"
    );
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
    let field = Field::new("tags", list.data_type().clone(), true);
    let error = contract_of(&Schema::new(vec![field])).unwrap_err();
    assert!(
        error.to_string().contains("column `tags` has type List"),
        "{error}"
    );
    let wrong = WriteSpec {
        time_column: Some("level".to_owned()),
        ..WriteSpec::default()
    };
    let (t, k) = (table("a.b"), key("all"));
    let error = lake
        .write_rows(&t, &k, &[batch(&hours(3))], &schema(), &wrong)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`level` is not a time or date column"),
        "{error}"
    );
    assert_eq!(contract_of(&schema()).unwrap(), contract());
}

#[test]
fn bodies_may_stay_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let schema = schema_of(&"body binary, name utf8".parse().unwrap());
    let body: ArrayRef = Arc::new(arrow::array::BinaryArray::from_vec(vec![
        &[7_u8; 100_000][..],
    ]));
    let name: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["x"]));
    let rows = [RecordBatch::try_new(schema.clone(), vec![body, name]).unwrap()];
    let (t, k) = (table("raw.x"), key("all"));
    let size = |compress| {
        let spec = WriteSpec {
            compress,
            ..WriteSpec::default()
        };
        let written = lake.write_rows(&t, &k, &rows, &schema, &spec).unwrap();
        written.file.unwrap().bytes
    };
    assert!(size(true) < 2_000 && size(false) > 100_000);
}

fn row() -> impl Strategy<Value = super::Row> {
    let note = prop::sample::select(vec![None, Some(""), Some("a"), Some("ab"), Some("b")]);
    let level = prop::option::of(prop::num::f64::NORMAL | prop::num::f64::ZERO);
    (0..200_i64, level, prop::option::of(any::<i64>()), note)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn digests_see_every_value_and_no_batch(
        rows in prop::collection::vec(row(), 2..60),
        cuts in prop::collection::vec(0..60_usize, 0..4),
        at in 0..60_usize,
        what in 0..4_usize,
        daily: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let lake = lake(dir.path());
        let whole = write(&lake, &[batch(&rows)], daily).unwrap();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let parts: Vec<RecordBatch> = cuts.windows(2).map(|w| batch(&rows[w[0]..w[1]])).collect();
        prop_assert_eq!(&write(&lake, &parts, daily).unwrap(), &whole);

        let at = at % rows.len();
        let mut other = rows.clone();
        match what {
            0 => other[at].0 += 1,
            1 => other[at].1 = if rows[at].1.is_none() { Some(0.0) } else { None },
            2 => other[at].2 = match rows[at].2 { None => Some(0), Some(0) => None, Some(n) => Some(n ^ 1) },
            _ => other[at].3 = if rows[at].3.is_none() { Some("") } else { None },
        }
        prop_assert_ne!(write(&lake, &[batch(&other)], daily).unwrap().rows_hash, whole.rows_hash);
        let mut swapped = rows.clone();
        swapped.swap(0, at);
        let same = swapped == rows || (rows[0].1 == rows[at].1 && rows[0].0 == rows[at].0
            && rows[0].2 == rows[at].2 && rows[0].3 == rows[at].3);
        let found = write(&lake, &[batch(&swapped)], daily).unwrap().rows_hash;
        prop_assert_eq!(found == whole.rows_hash, same);
    }
}

#[test]
fn long_text_crosses_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let schema = schema_of(&"body utf8, level f64?".parse().unwrap());
    let texts: Vec<String> = (0..40).map(|i| "x".repeat(i * 20_000)).collect();
    let make = |texts: &[String]| {
        let level = Float64Array::from_iter(texts.iter().map(|t| Some(t.len() as f64)));
        let body: ArrayRef = Arc::new(arrow::array::StringArray::from_iter_values(texts));
        RecordBatch::try_new(schema.clone(), vec![body, Arc::new(level)]).unwrap()
    };
    let (t, k) = (table("raw.x"), key("all"));
    let write = |batches: &[RecordBatch]| {
        lake.write_rows(&t, &k, batches, &schema, &WriteSpec::default())
            .unwrap()
    };
    let whole = write(&[make(&texts)]);
    assert_eq!(write(&[make(&texts[..17]), make(&texts[17..])]), whole);
    let mut other = texts.clone();
    other[39].replace_range(700_000..700_001, "y");
    assert_ne!(write(&[make(&other)]).rows_hash, whole.rows_hash);
    let level = make(&texts)
        .column(1)
        .as_primitive::<Float64Type>()
        .value(39);
    assert!((level - 780_000.0).abs() < 1e-9);
}

#[test]
fn parts_are_kept_beside_the_cells() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let described = |name: &str, run: &str, n: i64| {
        let mut cell = made(&lake, "a.b", name, run, "1", &hours(n));
        let members: Vec<String> = (0..50).map(|m| format!("n={m}=rows {m}")).collect();
        cell.parts.insert("sql".to_owned(), format!("text {n}"));
        cell.parts
            .insert("input a.c".to_owned(), members.join("\n"));
        cell
    };
    let waves: Vec<Vec<lakectl_core::Cell>> = (0..3)
        .map(|wave| {
            let name = |n| format!("n={}", wave * 10 + n);
            (0..10).map(|n| described(&name(n), "r1", n)).collect()
        })
        .collect();
    for wave in &waves {
        lake.record("r1", wave).unwrap();
    }
    let index = lake.cells().unwrap();
    for cell in waves.iter().flatten() {
        let kept = index.get(&cell.fingerprint).unwrap();
        assert_eq!(**kept, cell.lean(), "the record itself is lean");
        assert_eq!(lake.parts(kept).unwrap(), cell.parts);
        assert_eq!(lake.parts(cell).unwrap(), cell.parts);
    }
    let segment = std::fs::read_to_string(dir.path().join("_cells/r1/000000.json")).unwrap();
    assert!(!segment.contains("n=49"), "{segment}");

    let one = waves[1][4].lean();
    let manifests = std::fs::read_dir(dir.path().join("_parts/r1")).unwrap();
    let manifests: Vec<_> = manifests.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(manifests.len(), 3);
    for path in &manifests {
        let mut bytes = std::fs::read(path).unwrap();
        let end = bytes.len() - 3;
        bytes[end] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    let again = super::lake(dir.path());
    let error = again.parts(&one).unwrap_err();
    assert!(error.to_string().contains("_parts/r1/"), "{error}");
    assert!(error.hint().unwrap().contains("no row depends on it"));
    std::fs::remove_dir_all(dir.path().join("_parts")).unwrap();
    assert!(super::lake(dir.path()).parts(&one).unwrap().is_empty());
}
