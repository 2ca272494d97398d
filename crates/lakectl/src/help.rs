//! The longer help texts, and what each command prints as JSON.

pub(crate) const START: &str = "Start with `lakectl run --until forecast`: it simulates a market, and needs neither network nor key.";

pub(crate) const GENERAL: &str = "\
Start with `lakectl run --until forecast`: it simulates a market, and needs neither network nor key.
With recorded data: `lakectl run --until forecast --profile archive --set sources.archive.root=<folder>`.

Results go to standard output; remarks, progress and errors to standard error.

Exit codes:
  0    done (rows in quarantine are reported; `run --strict` makes 2 of them)
  1    a wrong command line, setting, declaration, query or lake
  2    finished with failed or blocked tasks
  130  interrupted by Ctrl-C or SIGTERM; what was finished is kept, the next run goes on from there

Environment, where a flag does not say otherwise:
  LAKE_ROOT, LAKE_PROFILE, LAKE_JOBS, LAKE_COLOR  as --lake, --profile, --jobs, --color
  LAKE_LOG    log filter, for example `debug` or `lakectl_store=trace`
  LAKE_WIDTH  characters of a line in tables (default: the terminal's, else 120)
Variables named LAKECTL_* and the file ~/.lakectl.yaml belong to another product and are never read.

Selectors: `schema.table`, `schema.*`, `tag:x`, `*`; `+name` with all that it needs, `name+` with all that needs it.";

pub(crate) const RUN: &str = "\
A second run does only what a changed document, setting, query or declaration makes necessary. One commit publishes \
all of a run; who reads meanwhile sees the lake before it.

`--format json` prints one object:
  {run_id, version, profile, lake, seconds, interrupted, quarantined,
   tasks: {total, reused, restored, ran, failed, blocked},
   stages: [{stage, table, kind, reused, restored, ran, failed, blocked, rows, seconds, reason}],
   failures: [{task, message, hint, attempts}], vanished: [task],
   checks: [{table, partition, check, severity, offending, example, accepted, held}]}
`checks` lists what rows fail; `held` rows stay out of the version. `stage` is the name for --select and --force, `reason` why most of its tasks ran (null: none did), `rows` what is now \
valid in the planned partitions; `vanished` lists partitions kept although their source does not offer them any more.";

pub(crate) const PLAN: &str = "\
`--format json` prints one object:
  {profile, lake, version, last_day, tasks: {total, reuse, restore, run, pending, blocked},
   plan: [{table, partition, verdict, reason, note}], vanished: [task], checks: [...]}
`checks` lists what rows are known to fail, as in `run`. Verdicts: `reuse` (published and right), `restore` (computed before, published again), `run`, `pending` (runs only if \
the named input's rows change), `blocked`.";

pub(crate) const SQL: &str = "\
Tables are `schema.table`; `norm.<feed>` stands for all tables of that feed, `system.tables`, `system.cells` and \
`system.commits` say what the lake holds. Option mathematics and statistics are SQL functions.

`--format json` prints an array of objects, one a row: times as ISO 8601 UTC, a missing number as null.";

pub(crate) const STATUS: &str = "\
`--format json` prints one object:
  {profile, lake, version, published_at,
   tables: [{table, partitions, rows, newest, stale}],
   failures: [{run, task, message, hint}],
   quarantine: [{table, reason, severity, rows, documents, example}], checks: [...], note}
`newest` is the latest time in the rows, `stale` the number of tasks that a run would compute; `failures` are those of \
earlier runs that are still to be mended. A quarantine entry of severity `warn` was kept; `reject` was left out.";

pub(crate) const STAGES: &str = "\
`--format json` prints an array: [{table, kind, partitions, tags, inputs, description}].";

pub(crate) const GRAPH: &str = "\
`--format json` prints one object:
  {stages: [{table, also, kind, keys, grain, coverage, tags, description, inputs: [{table, window}]}],
   unions: {name: [table]}}
`dot` is for Graphviz, `mermaid` for Markdown.";

pub(crate) const LOG: &str = "\
`--format json` prints an array, newest first: [{version, time, run, reason, tables, partitions, rows}].";

pub(crate) const SHOW: &str = "\
`--format json` prints one object:
  {table, description, kind, version, rows, bytes, primary_key, columns: [{name, type, nullable}],
   partitions: [{partition, rows, bytes, run, rows_hash, fingerprint}], reads: [...], read_by: [...]}";

pub(crate) const DOCTOR: &str = "\
Exit code 1 if something is wrong. `--format json` prints one object: {ok, findings: [{what, ok, detail}], settings}.";

pub(crate) const INIT: &str = "\
The folder then holds `pipelines/` (stages), `sql/` (one query a table) and `configs/` (settings): change them, and \
`lakectl` started in it or below uses them. Nothing is overwritten. `--format json` prints {folder, files}.";

pub(crate) const COMPLETIONS: &str = "\
For example `lakectl completions bash > ~/.local/share/bash-completion/completions/lakectl`.
`--format json` prints {shell, script}.";

pub(crate) const BACKFILL: &str = "\
Each chunk is a run of its own: a crash loses at most a chunk, and the same command goes on with what is left. Tasks \
that fail hold nothing up and are tried again alone at the end. It may run beside a nightly run.

`--format json` prints one object:
  {run_id, version, lake, seconds, interrupted, left, mended,
   chunks: [{from, to, tasks, ran, restored, failed, seconds, run, version}],
   failures: [{task, message, hint, attempts}], checks: [...]}
`tasks` counts the selected ones, `ran` also what they needed; `run` is null for a chunk that was there already, \
`left` counts the chunks that were not reached.";

pub(crate) const OVERRIDE: &str = "\
An override is kept in the lake's log with who, when and why; `log` shows it, and the next run acts on it. A revoked \
one stays in the list. `--format json` prints the override, `list` an array of them:
  {id, kind, ..., made: {who, when, why}, revoked: {who, when, why} | null}
`kind` is `exclude-document` {document, name, places}, `accept-check` {check, table, partition, digest, rows_hash} or \
`drop-partition` {table, partition}.";
