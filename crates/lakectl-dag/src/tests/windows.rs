use super::*;

/// Runs a reader of `a.daily` or `a.yearly` and returns what it was granted.
fn granted(grain: &str, keys: &str, inputs: &str, task: &str) -> Vec<String> {
    let text = chain() + &stage("z.reader", "sql", grain, keys, inputs);
    let mut project = Project::new(&text).with_source();
    project.document("asset=BTC/date=2026-02-01", "");
    project.run();
    project.seen(&key("z.reader", task))
}

#[test]
fn each_window_grants_its_days() {
    let of = |window: &str, task: &str| {
        granted("day", "asset", &format!("\"a.daily\" = {window}"), task)
    };
    let btc = |dates: &[&str]| -> Vec<String> {
        let grant = |date: &&str| format!("a.daily asset=BTC/date={date}");
        dates.iter().map(grant).collect()
    };
    let third = "asset=BTC/date=2026-02-03";
    assert_eq!(of("\"self\"", third), btc(&["2026-02-03"]));
    assert_eq!(
        of("{ lookback = \"1d\" }", third),
        btc(&["2026-02-02", "2026-02-03"])
    );
    assert_eq!(
        of("{ lookback = \"2d\", until = \"start\" }", third),
        btc(&["2026-02-01 empty", "2026-02-02"])
    );
    assert_eq!(
        of("\"all_before\"", "asset=BTC/date=2026-02-01"),
        btc(&["2026-01-30", "2026-01-31"])
    );
    assert_eq!(of("\"all\"", third).len(), 5);
    assert_eq!(
        of("\"all_before\"", "asset=BTC/date=2026-01-30"),
        Vec::<String>::new()
    );
}

#[test]
fn the_latest_non_empty_partition_is_found_within_its_age() {
    let of = |age: &str| {
        let inputs = format!("\"a.daily\" = {{ latest_before = \"{age}\" }}");
        granted("day", "asset", &inputs, "asset=BTC/date=2026-02-02")
    };
    let empty = "a.daily asset=BTC/date=2026-02-01 empty".to_owned();
    assert_eq!(of("1d"), std::slice::from_ref(&empty));
    assert_eq!(
        of("9d"),
        [empty, "a.daily asset=BTC/date=2026-01-31".to_owned()]
    );
}

#[test]
fn missing_keys_grant_everything_and_coarse_partitions_are_cut() {
    let report = granted("day", "", "\"a.daily\" = \"self\"", "date=2026-02-02");
    assert_eq!(
        report,
        [
            "a.daily asset=BTC/date=2026-02-02",
            "a.daily asset=ETH/date=2026-02-02"
        ]
    );
    let cut = granted(
        "day",
        "asset",
        "\"a.yearly\" = { lookback = \"1d\" }\n\"b.report\" = \"all_before\"",
        "asset=ETH/date=2026-02-02",
    );
    let start = DayRange::ALL.start;
    assert_eq!(
        cut,
        [
            "a.yearly asset=ETH/year=2026 2026-02-01..2026-02-03".to_owned(),
            format!("b.report all {start}..2026-02-02"),
        ]
    );
    let months = granted(
        "month",
        "asset",
        "\"a.daily\" = \"self\"",
        "asset=BTC/month=2026-01",
    );
    assert_eq!(months.len(), 2);
}

#[test]
fn one_new_day_in_a_year_disturbs_only_windows_that_hold_it() {
    let reader = stage(
        "z.reader",
        "sql",
        "day",
        "asset",
        "\"a.yearly\" = { lookback = \"1d\" }",
    );
    let mut project = Project::new(&(chain() + &reader)).with_source();
    project.run();
    assert!(project.executed().is_empty());
    project.document("asset=BTC/date=2026-02-03", "2");
    let executed = project.executed();
    let readers: Vec<&String> = executed.iter().filter(|t| t.starts_with("z.")).collect();
    assert_eq!(readers, ["z.reader asset=BTC/date=2026-02-03"]);
    assert!(executed.contains(&"a.yearly asset=BTC/year=2026".to_owned()));
}

#[test]
fn the_state_of_a_cut_is_that_of_its_days() {
    let days: BTreeMap<Day, Fingerprint> = [(1, b"a"), (2, b"b"), (3, b"c")]
        .into_iter()
        .map(|(day, text)| (Day::from_days(day), Fingerprint::of(text)))
        .collect();
    let mut cell = Cell {
        table: table("a.b"),
        partition: PartitionKey::default(),
        fingerprint: Fingerprint::of(b""),
        parts: Parts::new(),
        rows_hash: Fingerprint::of(b"all"),
        days,
        rows: 3,
        file: None,
        times: None,
        run: String::new(),
        seconds: 0.0,
    };
    let range = |a, b| Some(DayRange::new(Day::from_days(a), Day::from_days(b)));
    assert_eq!(state_of(&cell, None), State::Rows(cell.rows_hash));
    assert_eq!(state_of(&cell, range(4, 9)), State::Empty);
    assert_eq!(state_of(&cell, range(2, 2)), State::Empty);
    let before = state_of(&cell, range(1, 3));
    assert_eq!(state_of(&cell, range(-5, 3)), before);
    cell.days
        .insert(Day::from_days(3), Fingerprint::of(b"other"));
    assert_eq!(state_of(&cell, range(1, 3)), before);
    assert_ne!(state_of(&cell, range(1, 4)), before);
    cell.days.clear();
    assert_eq!(state_of(&cell, range(1, 3)), State::Rows(cell.rows_hash));
    cell.rows = 0;
    assert_eq!(state_of(&cell, range(1, 3)), State::Empty);
}
