//! One statement of a person: parsed, its tables and parameters found, its place in the text for errors.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::{self, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use lakectl_core::TableId;

use crate::query::{References, bind_into, syntax};
use crate::{Literal, SqlError};

/// A statement with its parameters in place.
pub(crate) struct Asked {
    pub(crate) statement: DfStatement,
    /// Tables that it reads.
    pub(crate) tables: Vec<TableId>,
    /// Whether its result is a plan, to be read as text.
    pub(crate) explains: bool,
}

/// Parses one statement and binds its parameters; what is no query (`SHOW`, `DESCRIBE`) is left to the planner.
pub(crate) fn ask(sql: &str, params: &BTreeMap<String, Literal>) -> Result<Asked, SqlError> {
    let mut statement = parse(sql)?;
    let explains = matches!(&statement, DfStatement::Explain(_))
        || matches!(&statement, DfStatement::Statement(inner) if matches!(**inner, Statement::Explain { .. }));
    let mut tables = Vec::new();
    if let Some(query) = query_of(&mut statement) {
        let found = References::of(query, true)?;
        bind_into(query, &found.params, params)?;
        tables.extend(found.tables);
    }
    Ok(Asked {
        statement,
        tables,
        explains,
    })
}

/// Returns the placeholders of a statement, without `$`.
///
/// # Errors
/// As its question would have.
pub fn placeholders(sql: &str) -> Result<BTreeSet<String>, SqlError> {
    let mut statement = parse(sql)?;
    match query_of(&mut statement) {
        Some(query) => Ok(References::of(query, true)?.params),
        None => Ok(BTreeSet::new()),
    }
}

fn parse(sql: &str) -> Result<DfStatement, SqlError> {
    let failed = |error: DataFusionError| match error.find_root() {
        DataFusionError::SQL(error, _) => syntax(error),
        _ => SqlError::planning(&error),
    };
    let mut parser = DFParserBuilder::new(sql)
        .with_dialect(&GenericDialect {})
        .build()
        .map_err(failed)?;
    let mut statements = parser.parse_statements().map_err(failed)?;
    match (statements.pop_front(), statements.pop_front()) {
        (Some(only), None) => Ok(only),
        (first, _) => {
            let (line, column) = second_statement(sql).unwrap_or((1, 1));
            Err(SqlError::NotAQuery {
                found: match first {
                    None => "nothing".to_owned(),
                    Some(_) => "another statement".to_owned(),
                },
                line,
                column,
            })
        }
    }
}

/// Where the text after the first semicolon begins.
fn second_statement(sql: &str) -> Option<(u64, u64)> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .ok()?;
    let mut tokens = tokens
        .iter()
        .skip_while(|token| token.token != Token::SemiColon);
    let next =
        tokens.find(|token| !matches!(token.token, Token::SemiColon | Token::Whitespace(_)))?;
    Some((next.span.start.line, next.span.start.column))
}

/// The query inside a statement, beneath any number of `EXPLAIN`s.
fn query_of(statement: &mut DfStatement) -> Option<&mut ast::Query> {
    match statement {
        DfStatement::Explain(explain) => query_of(&mut explain.statement),
        DfStatement::Statement(inner) => query_in(inner),
        _ => None,
    }
}

fn query_in(statement: &mut Statement) -> Option<&mut ast::Query> {
    match statement {
        Statement::Query(query) => Some(query),
        Statement::Explain { statement, .. } => query_in(statement),
        _ => None,
    }
}

/// Returns line and column, from 1, of what an error speaks of, if the text has it.
///
/// Errors of syntax know their place; for a name that does not exist it is the first place where it is written.
pub fn locate(sql: &str, error: &SqlError) -> Option<(u64, u64)> {
    match error {
        SqlError::Syntax { line, column, .. }
        | SqlError::NotAQuery { line, column, .. }
        | SqlError::TableName { line, column, .. }
            if *line > 0 =>
        {
            Some((*line, *column))
        }
        SqlError::UnknownTable { name, .. } | SqlError::UnknownColumn { name, .. } => {
            written_at(sql, name)
        }
        SqlError::UnknownParam { name, .. } => written_at(sql, &format!("${name}")),
        SqlError::UnknownFunction { name, .. } | SqlError::Impure { name } => written_at(sql, name),
        SqlError::ColumnType { column, .. } => written_at(sql, column),
        SqlError::Columns { extra, .. } => written_at(sql, extra.split(", ").next()?),
        _ => None,
    }
}

/// The first place of a name such as `a`, `a.b` or `$a` among the words of a text; comments and strings do not count.
fn written_at(sql: &str, name: &str) -> Option<(u64, u64)> {
    let mut tokens = Vec::new();
    // What was read before a token that cannot be read is enough.
    let _ = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location_into_buf(&mut tokens);
    let text = |token: &Token| match token {
        Token::Word(word) if word.quote_style.is_some() => Some(word.value.clone()),
        Token::Word(word) => Some(word.value.to_lowercase()),
        Token::Period => Some(".".to_owned()),
        Token::Placeholder(name) => Some(name.clone()),
        _ => None,
    };
    let (mut parts, mut rest) = (Vec::new(), name);
    while let Some((before, after)) = rest.split_once('.') {
        parts.extend([before.to_owned(), ".".to_owned()]);
        rest = after;
    }
    parts.push(rest.to_owned());
    let words: Vec<Option<String>> = tokens.iter().map(|token| text(&token.token)).collect();
    let at = |parts: &[String]| {
        words
            .windows(parts.len())
            .position(|window| window.iter().zip(parts).all(|(a, b)| a.as_ref() == Some(b)))
    };
    // The planner may have put the table before the column.
    let found = at(&parts).or_else(|| at(&parts[parts.len() - 1..]))?;
    let start = tokens[found].span.start;
    Some((start.line, start.column))
}
