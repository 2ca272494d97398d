use super::*;

const GOOD: &str = r#"
[[stage]]
table = "options.greeks"
kind = "native"
native = "greeks"
keys = ["asset"]
grain = "day"
coverage = "options"
primary_key = ["asset", "event_time"]
time_column = "event_time"
columns = "asset utf8, event_time ts, delta f64?"
tags = ["options"]
params = ["z_window"]
version = 3
retries = 2
audit = "none"
audit_reason = "looks at everything"
description = "Greeks."
[stage.inputs]
"market.quotes" = "self"
"options.slices" = { lookback = "180d", until = "start", missing = "block" }
"market.rates" = { latest_before = "7d" }
"onchain.metrics" = "all_before"
"#;

#[test]
fn a_stage_is_read() {
    let stage = &stages(GOOD)[0];
    assert_eq!(stage.kind, StageKind::Native("greeks".to_owned()));
    assert_eq!((stage.version, stage.retries, stage.origin.line), (3, 2, 3));
    let read: Vec<(&str, Window, Missing)> = stage
        .inputs
        .iter()
        .map(|input| (input.table.as_str(), input.window, input.missing))
        .collect();
    let lookback = Window::Lookback {
        days: 180,
        until_start: true,
    };
    assert_eq!(
        read,
        [
            ("market.quotes", Window::SelfPeriod, Missing::Block),
            (
                "market.rates",
                Window::LatestBefore { max_age_days: 7 },
                Missing::Accept
            ),
            ("onchain.metrics", Window::AllBefore, Missing::Accept),
            ("options.slices", lookback, Missing::Block),
        ]
    );
    let parts = stage.definition();
    assert_eq!(parts["native"], "greeks");
    assert!(!parts.contains_key("tags") && !parts.contains_key("retries"));
}

#[test]
fn errors_name_the_line_and_the_nearest_word() {
    for (old, new, line, message, hint) in [
        ("keys = [", "kyes = [", 6, "unknown key `kyes`", "`keys`"),
        (
            "[[stage]]",
            "[[stages]]",
            2,
            "unknown section `stages`",
            "`stage`",
        ),
        (
            "kind = \"native\"",
            "kind = \"natve\"",
            4,
            "`natve` is not a kind",
            "`native`",
        ),
        ("native = \"greeks\"\n", "\n", 2, "`native` is missing", ""),
        (
            "grain = \"day\"",
            "grain = \"days\"",
            7,
            "not a grain",
            "`day`",
        ),
        (
            "columns = \"asset utf8",
            "columns = \"asset text",
            11,
            "`asset text` is not understood",
            "",
        ),
        (
            "keys = [\"asset\"]",
            "keys = [\"aset\"]",
            6,
            "`aset` of `keys` is not among",
            "`asset`",
        ),
        (
            "time_column = \"event_time\"\n",
            "\n",
            7,
            "a grain needs a `time_column`",
            "",
        ),
        (
            "time_column = \"event_time\"",
            "time_column = \"delta\"",
            10,
            "`delta f64?` cannot be",
            "",
        ),
        (
            "coverage = \"options\"\n",
            "\n",
            2,
            "`coverage` is missing",
            "",
        ),
        (
            "primary_key = [\"asset\", \"event_time\"]\n",
            "\n",
            2,
            "`primary_key` is missing",
            "",
        ),
        ("version = 3", "version = 0", 14, "at least 1", ""),
        ("version = 3", "version = \"3\"", 14, "whole number", ""),
        (
            "audit = \"none\"\n",
            "\n",
            17,
            "`audit_reason` stands without",
            "",
        ),
        (
            "audit = \"none\"",
            "audit = \"nope\"",
            16,
            "`nope` is not a kind of audit",
            "`none`",
        ),
        (
            "audit_reason = \"looks at everything\"\n",
            "\n",
            16,
            "needs an `audit_reason`",
            "",
        ),
        (
            "= \"self\"",
            "= \"sefl\"",
            20,
            "`sefl` is not a window",
            "`self`",
        ),
        (
            "lookback = \"180d\"",
            "lookback = \"180\"",
            21,
            "`180` is not a length of time",
            "",
        ),
        (
            "lookback",
            "lookbak",
            21,
            "unknown key `lookbak`",
            "`lookback`",
        ),
        (
            "until = \"start\"",
            "until = \"strat\"",
            21,
            "expected `start` or `end`",
            "`start`",
        ),
        (
            "missing = \"block\"",
            "missing = \"blok\"",
            21,
            "`blok` is not a policy",
            "`block`",
        ),
        (
            "{ latest_before = \"7d\" }",
            "{ }",
            22,
            "exactly one window",
            "",
        ),
        (
            "grain = \"day\"",
            "grain = \"none\"",
            21,
            "the stage has no grain",
            "\"all\"",
        ),
        (
            "\"market.rates\"",
            "\"rates\"",
            22,
            "`rates` is not a table name",
            "",
        ),
        ("tags = [", "tags = 3 #", 12, "not a list", ""),
        ("kind = \"native\"", "kind = ", 4, "", ""),
    ] {
        let text = GOOD.replacen(old, new, 1);
        assert_ne!(text, GOOD, "{old}");
        let error = parse_stages("p.toml", &text).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains(message), "{old} -> {new}: {shown}");
        assert_eq!(error.origin.line, line, "{old} -> {new}: {shown}");
        let advice = error.hint.clone().unwrap_or_default();
        assert!(advice.contains(hint), "{old} -> {new}: {shown}");
        assert!(shown.starts_with(&format!("p.toml:{line}: ")), "{shown}");
    }
}
