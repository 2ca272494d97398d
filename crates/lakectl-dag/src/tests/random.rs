//! Random graphs under random edits: the lake has to hold what a clean rebuild gives.

use proptest::prelude::*;

use super::*;

/// One random stage: grain, whether it has the asset key, and (input, window) pairs.
#[derive(Clone, Debug)]
struct Shape {
    grain: usize,
    keyed: bool,
    inputs: Vec<(usize, usize)>,
}

#[derive(Clone, Debug)]
enum Edit {
    Document { eth: bool, day: i32, text: u8 },
    Code { stage: usize, code: usize },
    Later,
    Break { stage: usize },
    Only { stage: usize },
}

const GRAINS: [&str; 4] = ["none", "year", "month", "day"];
const CODES: [&str; 4] = ["digest", "parity", "const", "other"];
const WINDOWS: [&str; 8] = [
    "\"self\"",
    "\"all\"",
    "\"all_before\"",
    "{ lookback = \"2d\" }",
    "{ lookback = \"40d\", until = \"start\" }",
    "{ latest_before = \"3d\" }",
    "{ latest_before = \"60d\", missing = \"block\" }",
    "{ window = \"self\", missing = \"accept\" }",
];

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let shape = (
        0..GRAINS.len(),
        any::<bool>(),
        prop::collection::vec((0..64_usize, 0..WINDOWS.len()), 1..3),
    );
    let shape = shape.prop_map(|(grain, keyed, inputs)| Shape {
        grain,
        keyed,
        inputs,
    });
    prop::collection::vec(shape, 1..6)
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        3 => (any::<bool>(), 0..7_i32, 0..3_u8).prop_map(|(eth, day, text)| Edit::Document { eth, day, text }),
        2 => (0..8_usize, 0..CODES.len()).prop_map(|(stage, code)| Edit::Code { stage, code }),
        1 => Just(Edit::Later),
        1 => (0..8_usize).prop_map(|stage| Edit::Break { stage }),
        1 => (0..8_usize).prop_map(|stage| Edit::Only { stage }),
    ];
    prop::collection::vec(edit, 1..8)
}

fn declared(shapes: &[Shape]) -> String {
    let mut text = stage("raw.ticks", "harvest", "day", "asset", "")
        + &stage(
            "norm.ticks",
            "normalize",
            "day",
            "asset",
            "\"raw.ticks\" = \"self\"",
        );
    for (index, shape) in shapes.iter().enumerate() {
        let mut inputs = BTreeMap::new();
        for (input, window) in &shape.inputs {
            let name = match input % (index + 1) {
                0 => "norm.ticks".to_owned(),
                earlier => format!("s.t{}", earlier - 1),
            };
            // Without a grain there is no day to count from.
            let window = if shape.grain == 0 {
                window % 2
            } else {
                *window
            };
            inputs.insert(name, WINDOWS[window]);
        }
        let inputs: Vec<String> = inputs.iter().map(|(n, w)| format!("{n:?} = {w}")).collect();
        let keys = if shape.keyed { "asset" } else { "" };
        text += &stage(
            &format!("s.t{index}"),
            "sql",
            GRAINS[shape.grain],
            keys,
            &inputs.join("\n"),
        );
    }
    text
}

fn apply(project: &mut Project, edit: &Edit, count: usize) {
    let name = |stage: &usize| format!("s.t{}", stage % count);
    match edit {
        Edit::Document {
            eth,
            day: offset,
            text,
        } => {
            let asset = if *eth { "ETH" } else { "BTC" };
            let date = day("2026-01-30").plus(*offset);
            let text = if *text == 0 {
                String::new()
            } else {
                text.to_string()
            };
            project.document(&format!("asset={asset}/date={date}"), &text);
        }
        Edit::Code { stage, code } => project.code(&name(stage), CODES[*code]),
        Edit::Later => project.end = project.end.plus(1),
        Edit::Break { stage } => {
            for entry in &project
                .plan()
                .unwrap()
                .partitions(&table(&name(stage)))
                .unwrap()
                .entries
            {
                let task = TaskKey {
                    table: table(&name(stage)),
                    partition: entry.key.clone(),
                };
                project.calculator.broken.insert(task, 99);
            }
        }
        Edit::Only { stage } => project.selection.until = Some(name(stage)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_edits_agree_with_a_rebuild(shapes in shapes(), edits in edits(), jobs in 1..4_usize) {
        let text = declared(&shapes);
        let mut project = Project::new(&text).with_source();
        project.jobs = jobs;
        project.run();
        for (index, edit) in edits.iter().enumerate() {
            project.order = if index % 2 == 0 { Order::Backward } else { Order::Forward };
            apply(&mut project, edit, shapes.len());
            project.run();
            project.calculator.broken.clear();
            project.selection = Selection::default();
        }
        let report = project.run();
        prop_assert!(report.is_success());
        prop_assert!(project.run().executed().is_empty());

        let mut rebuilt = Project::new(&text);
        rebuilt.listed = project.listed.clone();
        rebuilt.calculator.source = project.calculator.source.clone();
        rebuilt.codes = project.codes.clone();
        rebuilt.end = project.end;
        prop_assert!(rebuilt.run().is_success());
        prop_assert_eq!(rebuilt.hashes(), project.hashes());
    }

    #[test]
    fn windows_agree_with_a_search_through_all_partitions(
        grain in 0..4_usize, keyed in any::<bool>(), from in 0..4_usize, from_keyed in any::<bool>(), window in 0..5_usize,
    ) {
        let window = if grain == 0 { window % 2 } else { window };
        let keys = |keyed| if keyed { "asset" } else { "" };
        let text = stage("a.in", "sql", GRAINS[from], keys(from_keyed), "")
            + &stage("a.out", "sql", GRAINS[grain], keys(keyed), &format!("\"a.in\" = {}", WINDOWS[window]));
        let mut project = Project::new(&text);
        project.run();
        let plan = project.plan().unwrap();
        let input = plan.partitions(&table("a.in")).unwrap();
        let reader = project.pipeline.stage_of(&table("a.out")).unwrap();
        for output in &plan.partitions(&table("a.out")).unwrap().entries {
            let days = reader.inputs[0].window.days(output.period);
            let fits = |entry: &&Entry| {
                let (a, b) = (entry.key.get("asset"), output.key.get("asset"));
                days.overlaps(&entry.period) && (a.is_none() || b.is_none() || a == b)
            };
            let mut found: Vec<String> = input.entries.iter().filter(fits).map(|e| e.text.clone()).collect();
            found.sort();
            let task = TaskKey { table: table("a.out"), partition: output.key.clone() };
            let mut granted: Vec<String> = project.seen(&task).iter()
                .map(|seen| seen.split(' ').nth(1).unwrap().to_owned()).collect();
            granted.sort();
            prop_assert_eq!(found, granted);
        }
    }
}
