//! The longer help texts, and what each command prints as JSON.

pub(crate) const START: &str = "Start with `lakectl run --until forecast`: it simulates a market, and needs neither network nor key.";

pub(crate) const GENERAL: &str = "\
Start with `lakectl run --until forecast`: it simulates a market, and needs neither network nor key.
With recorded data: `lakectl run --until forecast --profile archive --set sources.archive.root=<folder>`.

Results go to standard output; remarks, progress and errors to standard error.

Exit codes:
  0    done (rows in quarantine are reported; `run --strict` makes 2 of them)
  1    what was asked for is wrong: the command line, a setting, a declaration, a query, a lake that is not there or another's
  2    failed on the way: tasks failed or are blocked; the disk, the network, damage or another run came in between
  130  interrupted by Ctrl-C or SIGTERM; what was finished is kept, the next run goes on from there

Environment, where a flag does not say otherwise:
  LAKE_ROOT, LAKE_PROFILE, LAKE_BRANCH, LAKE_JOBS, LAKE_COLOR  as --lake, --profile, --branch, --jobs, --color
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
   failures: [{task, message, hint, attempts}], vanished: [task], dropped: [task], warnings: [text],
   checks: [{table, partition, check, severity, offending, example, accepted, held}]}
With `--events FILE` the file gets one JSON object a line, each with time, run and event: run_started, planned, started, \
retrying, finished (rows, bytes, seconds), reused, restored, failed, blocked, flushed, committed, run_finished. Lines are \
whole whenever the run ends. `system.runs` and `system.tasks` keep what earlier runs did; `process_peak_memory_bytes` is \
the most memory the process had had when a task ended, with the share of the tasks beside it.

`checks` lists what rows fail; `held` rows stay out of the version. `stage` is the name for --select and --force, `reason` why most of its tasks ran (null: none did), `rows` what is now \
valid in the planned partitions; `vanished` lists partitions kept although their source does not offer them any more, \
`dropped` published ones that are not in the new version, because the declarations have no place for them any more.";

pub(crate) const PLAN: &str = "\
Nothing is written. Seconds, rows and bytes are those of a task's published result, else the median of its stage.

`--format json` prints one object:
  {profile, lake, version, last_day, tasks: {total, reuse, restore, run, pending, blocked},
   estimate: {jobs, run: {tasks, unknown, seconds, rows, bytes, elapsed}, with_pending: {...}},
   stages: [{stage, total, reuse, restore, run, pending, blocked, reason, estimate}],
   plan: [{table, partition, verdict, reason, note, seconds, rows, bytes}], vanished: [task], dropped: [task],
   checks: [...], open_checks: [{table, check, severity, partitions, pending}]}
`checks` lists what rows are known to fail, as in `run`; `open_checks` those that have not looked at rows which are there, \
in so many `partitions`, and in `pending` ones if the rows of others change: `run` evaluates them.
Verdicts: `reuse` (published and right), `restore` (computed before, published again), `run`, `pending` (runs only if \
the named input's rows change), `blocked`. `seconds` is computing time, `elapsed` from beginning to end with `jobs` at a \
time, `unknown` the number of tasks without an estimate; `dropped` lists published partitions that have no place any more.";

pub(crate) const SQL: &str = "\
Tables are `schema.table`; `norm.<feed>` stands for all tables of that feed, `system.tables`, `system.cells` and \
`system.commits` say what the lake holds, `system.runs` and `system.tasks` what runs did, `system.lineage` what columns are \
made of. Option mathematics and statistics are SQL functions. `EXPLAIN` and `EXPLAIN \
ANALYZE` show how a query is computed.

Without a query: a shell on a terminal (`\\?` lists its commands), else the statements of standard input; `-f` runs a file. \
Statements end with `;`, the shell's commands stand on lines of their own. A script stops at its first error, which is told with \
file and line. Each statement's rows are written in the format asked for; a file is written under a temporary name first.

Exit code 2: a query that needed more memory or time than it may have. 130: Ctrl-C.

`--format json` prints an array of objects, one a row: times as ISO 8601 UTC, a missing number as null.";

pub(crate) const STATUS: &str = "\
`--format json` prints one object:
  {profile, lake, version, published_at, tasks: {total, reuse, restore, run, pending, blocked},
   tables: [{table, partitions, rows, newest, stale}],
   failures: [{run, task, message, hint}],
   quarantine: [{table, reason, severity, rows, documents, example}], checks: [...], open_checks: [...], note,
   disk: {tables: {table: {cause: {files, bytes}}}, other: {cause: {files, bytes}}}}
`tasks` are those of `plan`, `newest` is the latest time in the rows, `stale` the number of tasks that are not `reuse`; `failures` are those of \
earlier runs that are still to be mended. A quarantine entry of severity `warn` was kept; `reject` was left out.";

pub(crate) const STAGES: &str = "\
`--format json` prints an array: [{table, kind, partitions, tags, inputs, description}].";

pub(crate) const GRAPH: &str = "\
`--format json` prints one object:
  {stages: [{table, also, kind, keys, grain, coverage, tags, description, inputs: [{table, window}]}],
   unions: {name: [table]}}
`dot` is for Graphviz, `mermaid` for Markdown, `svg` a picture: `lakectl graph --format svg > graph.svg`.";

pub(crate) const LOG: &str = "\
`--format json` prints an array, newest first: [{version, time, branch, who, run, reason, \
message, tables, partitions, rows, dropped, records, origin, merged}]. `origin` is the version that a branch begins with, \
`merged` the one whose changes came in, both as `branch@version`. The log of a branch goes on into the branch it began at.";

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

pub(crate) const BRANCH: &str = "\
A branch is a log of its own over the same files: `--branch NAME` with any command works on it and leaves the others as \
they are. A run on it computes only what differs, and what one branch has computed no other computes again. \
Each of the commands below has `--format json`.";

pub(crate) const BRANCH_JSON: &str = "\
`--format json` prints [{branch, version, time, from, who, why, current}] (`create`: one such object); `from` is the \
version that it began with, as `branch@version`.";

pub(crate) const BRANCH_DELETE: &str = "\
Its log stays: branches that began at it can still be read, and its name may be used again. `--format json` prints \
{deleted}.";

pub(crate) const BRANCH_MERGE: &str = "\
Compared with the newest version that both have in common: a partition, a table's columns or an override that only the \
merged branch changed is taken over. Of raw tables both sides' documents are kept. What both sides changed to different \
results is a conflict: it is named, nothing is written, and the exit code is 2.

`--format json` prints {from, into, base, version, partitions, dropped, joined, tables, records, conflicts}; `version` is null if \
nothing was written.";

pub(crate) const ROLLBACK: &str = "\
Raw tables and overrides stay as they are, because documents cannot be fetched again and decisions are people's. So the \
next run derives again from them, by the declarations of that time; what it would do is said.

`--format json` prints {branch, version, to, next_run: {restore, run, tables}}.";

pub(crate) const PROJECT: &str = "\
`run` does this after every commit (setting `projections.delta`). Every table's folder `data/<schema>/<table>` can then \
be read as a Delta table; the logs are made from the lake's own, and the same again whenever they are made anew. Only \
lakectl writes: the tables declare a writer feature that other programs refuse.

`--format json` prints one object:
  {version, rebuilt, commits, checkpoints, bytes,
   tables: [{table, path, delta_version, lake_version, files, versions: [{delta_version, lake_version, time, added, removed}]}]}
`commits`, `checkpoints` and `bytes` say what was written now; `versions` is there for tables that are named.";

pub(crate) const VIEWS: &str = "\
One schema for each of the lake's and one view for each table, over exactly the files of the version; `lake_version()` \
says which. Without --output the script goes to standard output.

`--format json` prints {version, tables, file, sql}: `file` with --output, `sql` without.";

pub(crate) const PLOT: &str = "\
The name of the file says its format, .svg or .png. Without --expiry `smile` and `density` draw all expiries side by side. A \
footnote names the version of the lake, the snapshot and the tables. The same rows are the same bytes, with the fonts that \
are inside the program. What `exposure` draws needs open interest, and `factors` draws all snapshots up to the one found.

`--format json` prints one object:
  {picture, asset, file, format, bytes, width, height, version, snapshot, tables,
   panels: [{title, series: [{name, points}]}]}
`width` and `height` are dots; `snapshot` is the one that --at found.";

pub(crate) const LOOKAHEAD: &str = "\
Three claims are tested at each instant, by computing rows again from less and comparing bit for bit:
  later knowledge   normalised and canonical rows known after the instant are dropped; rows known by it must not change
  later start       the partition that holds the instant begins on its day instead; the rows of the days left must not change
  later documents   documents recorded after the instant are dropped; rows and rejects of the others must not change
The lake is only read: what is computed goes to a scratch folder that is removed. Rows are those of the project as it is now, \
so a query can be audited before it is run. Exit code 2 if a claim is refuted or a task fails.

`--format json` prints one object:
  {lake, version, instants, clean, interrupted,
   tables: [{table, rows, partitions, start_rows, exempt, fixed_start}],
   leaks: [{claim, at, table, column, key, known_at, before, after, rows}], failures: [{task, message, hint}]}
`rows` and `start_rows` are those compared, `exempt` is why a table is not audited, `fixed_start` why its partitions cannot \
begin later. A leak names the column (null: the row itself), the row that was known first, and what both computations say.";

pub(crate) const LINEAGE: &str = "\
Queries are read as the planner reads them, `SELECT *` included; native stages declare what they use and see nothing else; \
parsers make rows of document bodies. A column is a *value* of another if it is part of the expression that makes it, and a \
*condition* if it only decides which rows count. `system.lineage` has every step as rows.

`--format json` prints one object:
  {of, direction, columns: [{table, column, steps, maker, expression}],
   edges: [{table, column, input_table, input_column, kind}]}
`mermaid` and `dot` draw columns in boxes of their tables, or tables alone if the name is one; conditions are dotted.";

pub(crate) const DIFF: &str = "\
Partitions are compared by the digests of their rows, and only those that differ are read; rows are paired by the primary \
key, or as a whole where a table has none. Where a table is cut into other partitions than before, rows are looked for in \
those of the same days.

`--format json` prints {from, to, of, tables: [{table, added, removed, changed, recomputed, rows_added, rows_removed, \
rows_changed, columns: {column: rows}, contract, examples: [{kind, partition, key, values: [[column, before, after]]}]}], \
records: {name: kind}}: `added` to `recomputed` count partitions.";

pub(crate) const BACKFILL: &str = "\
Each chunk is a run of its own: a crash loses at most a chunk, and the same command goes on with what is left. Tasks \
that fail hold nothing up and are tried again alone at the end. It may run beside a nightly run.

`--format json` prints one object:
  {run_id, version, lake, seconds, interrupted, left, mended,
   chunks: [{from, to, tasks, ran, restored, failed, seconds, run, version}],
   failures: [{task, message, hint, attempts}], checks: [...], dropped: [task]}
`tasks` counts the selected ones, `ran` also what they needed; `run` is null for a chunk that was there already, \
`left` counts the chunks that were not reached.";

pub(crate) const OVERRIDE: &str = "\
An override is kept in the lake's log with who, when and why; `log` shows it, and the next run acts on it. A revoked \
one stays in the list. `--format json` prints the override, `list` an array of them:
  {id, kind, ..., made: {who, when, why}, revoked: {who, when, why} | null}
`kind` is `exclude-document` {document, name, places}, `accept-check` {check, table, partition, digest, rows_hash} or \
`drop-partition` {table, partition}.";

pub(crate) const VERIFY: &str = "\
Every version of the log, every record of results, and every data file that a kept version or a recorded result needs. \
Exit code 2 if something is damaged or missing; each such file is named with its partition, the versions that hold it and \
what to do.

`--format json` prints one object:
  {ok, lake, deep, records, files, bytes,
   damages: [{path, kind, table, partition, cause, versions: [{branch, first, last}], problem, advice, holders}]}
`kind` is log, checkpoint, cells, parts, checks, projection, note or data; `cause` is published, older, branch or cache. \
`holders` are the checkpoints that are of no use without the file; missing if there are none.";

pub(crate) const REPAIR: &str = "\
Derived partitions are computed again by their own tasks, and their rows have to come out equal. Raw documents are taken \
from what is left of their file and from their source, and proved by their digests. Damaged records and notes of runs are moved \
below `_aside` in the lake. Nothing is published: a file comes back under its own name. Exit code 2 if something could \
not be repaired; the reason and what to do are said.

`--format json` prints one object:
  {dry_run, lake, records, files, bytes, seconds, executed: [task], warnings,
   damaged: [{path, task, cause, problem, fix, detail}]}
`fix` is computed, fetched, projected, set_aside, forgotten or none.";

pub(crate) const GC: &str = "\
A version is kept if it is young enough or among the newest. Rows of versions that are not kept can be asked for no more; \
the log still says what they were. Raw documents go only when a newest version has them as well. What is younger than \
an hour, or than a run under way, stays. Ages are told by the clock of the place that keeps the lake. Defaults are in `[retention]` of \
configs/base.toml.

`--format json` prints one object:
  {lake, dry_run, keep: {versions, days, cache_days}, expired: {branch: oldest kept version},
   removed: [{path, table, partition, bytes, cause, why}], spared: [{path, bytes, why}],
   temporary: {files, bytes}, results, dead_runs: [run],
   disk: {tables: {table: {cause: {files, bytes}}}, other: {cause: {files, bytes}}}}
`disk` is what the lake took before.";

pub(crate) const COPY: &str = "\
Files are copied first and the log last, so the copy can be read when it is complete. What is there and right is passed \
over: an interrupted copy goes on, and a copy over a damaged lake mends it. A target with another profile or other \
versions is refused.

`--format json` prints one object:
  {from, to, versions: {branch: newest}, copied: {files, bytes}, skipped: {files, bytes}, records}";
