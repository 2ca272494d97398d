//! What can be typed next: keywords, tables, columns of the tables that a statement names, functions, commands.

use std::collections::BTreeMap;

use lakectl_pipeline::query::LakeSession;

use super::meta::COMMANDS;

/// Keywords of queries.
const KEYWORDS: &str = "all analyze and any as asc between by case cast cross current date desc describe distinct else end \
     except exists explain extract false filter first following for from full group having ilike in inner intersect \
     interval is join last lateral left like limit not null nulls offset on or order outer over partition preceding qualify \
     range right row rows select show tables then timestamp true unbounded union using values verbose when where window \
     with within";
/// After these comes a table.
const BEFORE_TABLES: [&str; 3] = ["from", "join", "describe"];

/// The words of one version of a lake.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    /// Tables with their columns.
    tables: BTreeMap<String, Vec<String>>,
    functions: Vec<String>,
}

impl Words {
    pub(super) fn of(session: &LakeSession) -> Self {
        let tables = session.tables().filter_map(|id| {
            let info = session.describe(id)?;
            let columns = info.columns.into_iter().map(|column| column.name);
            Some((id.to_string(), columns.collect()))
        });
        Self {
            tables: tables.collect(),
            functions: session.functions().into_iter().map(|f| f.name).collect(),
        }
    }

    /// Returns where in `line` the word before `at` begins, and what it may become. `pending` are the lines before.
    pub(super) fn complete(&self, pending: &str, line: &str, at: usize) -> (usize, Vec<String>) {
        let before = &line[..at];
        let part_of_word = |c: char| c.is_alphanumeric() || "_.\\?".contains(c);
        let start = before
            .char_indices()
            .rev()
            .take_while(|(_, c)| part_of_word(*c))
            .last()
            .map_or(at, |(start, _)| start);
        let word = &before[start..];
        let found = match pending.trim().is_empty().then(|| before.trim_start()) {
            Some(command) if command.starts_with('\\') => self.of_command(command, word),
            _ => self.of_statement(
                &format!("{pending}\n{line}"),
                &before[..start],
                pending,
                word,
            ),
        };
        (start, found)
    }

    fn of_command(&self, line: &str, word: &str) -> Vec<String> {
        match line.split_once(char::is_whitespace) {
            None => starting(COMMANDS.iter().map(|(name, _, _)| *name), word),
            Some(("\\d", _)) => starting(self.tables.keys().map(String::as_str), word),
            Some(("\\df", _)) => starting(self.functions.iter().map(String::as_str), word),
            Some(_) => Vec::new(),
        }
    }

    fn of_statement(
        &self,
        statement: &str,
        before: &str,
        pending: &str,
        word: &str,
    ) -> Vec<String> {
        let folded = word.to_lowercase();
        let tables = || starting(self.tables.keys().map(String::as_str), &folded);
        let previous = words(before).pop().or_else(|| words(pending).pop());
        if previous.is_some_and(|word| BEFORE_TABLES.contains(&word.as_str())) {
            return tables();
        }
        let named = self.named(statement);
        if let Some((name, column)) = folded.rsplit_once('.') {
            let of = named
                .iter()
                .filter(|(alias, table)| alias == name || *table == name);
            let columns = of.flat_map(|(_, table)| self.columns(table));
            let mut found = starting(columns, column);
            found
                .iter_mut()
                .for_each(|column| *column = format!("{name}.{column}"));
            found.extend(tables());
            return found;
        }
        if folded.is_empty() {
            return Vec::new();
        }
        let mut found = starting(
            named.iter().flat_map(|(_, table)| self.columns(table)),
            &folded,
        );
        let upper = word.chars().any(char::is_uppercase);
        let keywords = starting(KEYWORDS.split_whitespace(), &folded);
        found.extend(keywords.into_iter().map(|keyword| match upper {
            true => keyword.to_uppercase(),
            false => keyword,
        }));
        let functions = starting(self.functions.iter().map(String::as_str), &folded);
        found.extend(functions.into_iter().map(|function| format!("{function}(")));
        found.extend(tables());
        found
    }

    fn columns<'a>(&'a self, table: &str) -> impl Iterator<Item = &'a str> {
        self.tables
            .get(table)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    /// Tables that a statement names, each with its alias, or its name without the schema.
    fn named<'a>(&'a self, statement: &str) -> Vec<(String, &'a str)> {
        let words = words(statement);
        let mut found = Vec::new();
        for (i, word) in words.iter().enumerate() {
            let Some((table, _)) = self.tables.get_key_value(word) else {
                continue;
            };
            let after = words[i + 1..].iter().find(|word| *word != "as");
            let alias =
                after.filter(|word| !KEYWORDS.split_whitespace().any(|keyword| keyword == *word));
            found.extend(alias.map(|alias| (alias.clone(), table.as_str())));
            let name = table
                .split_once('.')
                .map_or(table.as_str(), |(_, name)| name);
            found.push((name.to_owned(), table.as_str()));
        }
        found
    }
}

/// The words of a text, lower case, with the dots in them.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Those that begin so, once each, in order.
fn starting<'a>(all: impl Iterator<Item = &'a str>, beginning: &str) -> Vec<String> {
    let mut found: Vec<String> = all
        .filter(|name| name.starts_with(beginning))
        .map(str::to_owned)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(pending: &str, line: &str) -> String {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let words = Words {
            tables: [
                (
                    "market.option_quotes".to_owned(),
                    names(&["asset", "expiry", "strike"]),
                ),
                (
                    "options.greeks".to_owned(),
                    names(&["asset", "delta", "vega"]),
                ),
            ]
            .into(),
            functions: names(&["date_bin", "delta_strike", "zscore"]),
        };
        let at = line.find('|').unwrap();
        let (start, found) = words.complete(pending, &line.replace('|', ""), at);
        format!("{start}: {}", found.join(" "))
    }

    #[test]
    fn what_fits_here() {
        for (pending, line, expected) in [
            ("", "sel|", "0: select"),
            ("", "SEL|", "0: SELECT"),
            (
                "",
                "SELECT * FROM |",
                "14: market.option_quotes options.greeks",
            ),
            ("", "SELECT * FROM opt|", "14: options.greeks"),
            ("SELECT *\nFROM\n", "m|", "0: market.option_quotes"),
            ("", "SELECT str| FROM market.option_quotes", "7: strike"),
            (
                "",
                "SELECT de| FROM options.greeks",
                "7: delta desc describe delta_strike(",
            ),
            ("", "SELECT g.de| FROM options.greeks AS g", "7: g.delta"),
            (
                "",
                "SELECT option_quotes.ex| FROM market.option_quotes",
                "7: option_quotes.expiry",
            ),
            (
                "",
                "SELECT q.a| FROM market.option_quotes q JOIN options.greeks g",
                "7: q.asset",
            ),
            ("", "SELECT z|", "7: zscore("),
            ("", "SELECT |", "7: "),
            ("", "\\t|", "0: \\timing"),
            ("", "\\d opt|", "3: options.greeks"),
            ("", "\\df da|", "4: date_bin"),
            ("", "\\i fi|", "3: "),
        ] {
            assert_eq!(complete(pending, line), expected, "{pending}{line}");
        }
    }
}
