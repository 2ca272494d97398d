//! What a query reads, and how parameters get into it: both on the syntax tree, before any planning.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, ObjectName, Select, SetExpr, Statement, TableFactor, Value, ValueWithSpan, Visit,
    VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{
    Location, Token, TokenWithSpan, Tokenizer, TokenizerError, Word,
};
use lakectl_core::{Day, TableId, UtcTime};

use crate::SqlError;

/// One parsed query and what it refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Tables it reads, in subqueries too, without the names that `WITH` introduces.
    pub tables: BTreeSet<TableId>,
    /// Functions it calls, lower case: ours and the engine's.
    pub functions: BTreeSet<String>,
    /// Placeholders, without `$`.
    pub params: BTreeSet<String>,
    /// The syntax tree written back: comments, line breaks and the case of keywords do not count.
    pub canonical: String,
    /// Where each table is first read, line from 1.
    lines: BTreeMap<TableId, u64>,
    /// The words of each line of the text.
    words: Vec<Vec<String>>,
    ast: ast::Query,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Text.
    Text(String),
    /// A 64-bit integer.
    Int(i64),
    /// A finite 64-bit float.
    Float(f64),
    /// An instant, of type timestamp with microseconds in UTC.
    Time(UtcTime),
    /// A calendar day, of type date.
    Day(Day),
    /// True or false.
    Bool(bool),
}

/// Parses exactly one `SELECT` or `WITH` query and finds what it refers to.
///
/// # Errors
/// [`SqlError::Syntax`], [`SqlError::NotAQuery`] and [`SqlError::TableName`], each with line and column.
pub fn analyse(sql: &str) -> Result<Query, SqlError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| unreadable(&error))?;
    let words = words(&tokens);
    let ast = parse_one(tokens)?;
    let found = References::of(&ast, false)?;
    Ok(Query {
        tables: found.tables,
        functions: found.functions,
        params: found.params,
        canonical: ast.to_string(),
        lines: found.lines,
        words,
        ast,
    })
}

/// Replaces every placeholder by its literal, window frame bounds and limits included.
///
/// # Errors
/// [`SqlError::UnknownParam`] for a placeholder without a value, [`SqlError::ParamValue`] for a float that is
/// not finite.
pub fn bind(query: &Query, params: &BTreeMap<String, Literal>) -> Result<Statement, SqlError> {
    let mut ast = query.ast.clone();
    bind_into(&mut ast, &query.params, params)?;
    Ok(Statement::Query(Box::new(ast)))
}

/// Replaces the placeholders `wanted` of a query by their literals.
pub(crate) fn bind_into(
    ast: &mut ast::Query,
    wanted: &BTreeSet<String>,
    params: &BTreeMap<String, Literal>,
) -> Result<(), SqlError> {
    let mut values = BTreeMap::new();
    for name in wanted {
        let literal = params.get(name).ok_or_else(|| {
            let known: Vec<String> = params.keys().map(|k| format!("${k}")).collect();
            SqlError::UnknownParam {
                name: name.clone(),
                known: match known.is_empty() {
                    true => "none".to_owned(),
                    false => known.join(", "),
                },
            }
        })?;
        values.insert(name.clone(), literal_expr(name, literal)?);
    }
    match VisitMut::visit(ast, &mut Binder { values: &values }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The words of each line, without remarks; the case of what is not quoted does not count.
fn words(tokens: &[TokenWithSpan]) -> Vec<Vec<String>> {
    let mut lines: Vec<Vec<String>> = Vec::new();
    for TokenWithSpan { token, span } in tokens {
        let text = match token {
            Token::Whitespace(_) | Token::EOF | Token::SemiColon => continue,
            Token::Word(Word {
                value,
                quote_style: None,
                ..
            }) => value.to_lowercase(),
            other => other.to_string(),
        };
        let line = span.start.line.saturating_sub(1) as usize;
        if lines.len() <= line {
            lines.resize_with(line + 1, Vec::new);
        }
        lines[line].push(text);
    }
    lines
}

fn unreadable(error: &TokenizerError) -> SqlError {
    SqlError::Syntax {
        message: error.message.clone(),
        line: error.location.line,
        column: error.location.column,
    }
}

fn parse_one(tokens: Vec<TokenWithSpan>) -> Result<ast::Query, SqlError> {
    let mut parser = Parser::new(&GenericDialect {}).with_tokens_with_locations(tokens);
    let refuse = |found: String, at: Location| SqlError::NotAQuery {
        found,
        line: at.line,
        column: at.column,
    };
    let first = parser.peek_token();
    if first.token == Token::EOF {
        let nowhere = Location { line: 0, column: 0 };
        return Err(refuse("nothing but space and remarks".to_owned(), nowhere));
    }
    let statement = parser.parse_statement().map_err(|e| syntax(&e))?;
    while parser.consume_token(&Token::SemiColon) {}
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(refuse(
            format!("another statement (`{}`)", next.token),
            next.span.start,
        ));
    }
    match statement {
        Statement::Query(query) => Ok(*query),
        _ => Err(refuse(
            format!("a statement that begins with `{}`", first.token),
            first.span.start,
        )),
    }
}

/// The parser puts its position at the end of its message.
pub(crate) fn syntax(error: &ParserError) -> SqlError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
        ParserError::RecursionLimitExceeded => "the query is nested too deeply".to_owned(),
    };
    let (message, line, column) = match text.rsplit_once(" at Line: ") {
        Some((message, place)) => {
            let (line, column) = place.split_once(", Column: ").unwrap_or((place, ""));
            (
                message.to_owned(),
                line.parse().unwrap_or(0),
                column.parse().unwrap_or(0),
            )
        }
        None => (text, 0, 0),
    };
    SqlError::Syntax {
        message,
        line,
        column,
    }
}

/// What a query refers to.
#[derive(Default)]
pub(crate) struct References {
    pub(crate) tables: BTreeSet<TableId>,
    lines: BTreeMap<TableId, u64>,
    pub(crate) functions: BTreeSet<String>,
    pub(crate) params: BTreeSet<String>,
    with_names: BTreeSet<String>,
    bare: Vec<(String, Location)>,
    /// Whether `$1` is a parameter: in what a person asks, not in a stage.
    numbered: bool,
}

impl References {
    /// Visits a query; `numbered` allows `$1` beside `$name`.
    pub(crate) fn of(ast: &ast::Query, numbered: bool) -> Result<Self, SqlError> {
        let mut found = Self {
            numbered,
            ..Self::default()
        };
        if let ControlFlow::Break(error) = Visit::visit(ast, &mut found) {
            return Err(error);
        }
        let unknown = found
            .bare
            .iter()
            .find(|(name, _)| !found.with_names.contains(name));
        match unknown {
            Some((name, at)) => Err(SqlError::TableName {
                name: name.clone(),
                line: at.line,
                column: at.column,
            }),
            None => Ok(found),
        }
    }

    fn table(&mut self, name: &ObjectName) -> ControlFlow<SqlError> {
        let parts: Vec<String> = name.0.iter().map(part_text).collect();
        let at = start_of(name);
        if let [bare] = parts.as_slice() {
            self.bare.push((bare.clone(), at));
            return ControlFlow::Continue(());
        }
        match parts.join(".").parse::<TableId>() {
            Ok(table) if parts.len() == 2 => {
                let line = self.lines.entry(table.clone()).or_insert(at.line);
                *line = at.line.min(*line);
                self.tables.insert(table);
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(SqlError::TableName {
                name: name.to_string(),
                line: at.line,
                column: at.column,
            }),
        }
    }

    fn function(&mut self, name: &ObjectName) {
        self.functions.insert(name.to_string().to_lowercase());
    }
}

/// Names fold to lower case unless quoted, as the planner does.
fn part_text(part: &ast::ObjectNamePart) -> String {
    part.as_ident().map_or_else(
        || part.to_string(),
        |ident| fold(&ident.value, ident.quote_style.is_some()),
    )
}

fn fold(value: &str, quoted: bool) -> String {
    if quoted {
        value.to_owned()
    } else {
        value.to_lowercase()
    }
}

fn start_of(name: &ObjectName) -> Location {
    let first = name.0.first().and_then(|part| part.as_ident());
    first.map_or(Location { line: 0, column: 0 }, |ident| ident.span.start)
}

fn unsupported(found: &str) -> ControlFlow<SqlError> {
    ControlFlow::Break(SqlError::NotAQuery {
        found: found.to_owned(),
        line: 0,
        column: 0,
    })
}

impl Visitor for References {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<SqlError> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = &cte.alias.name;
            self.with_names
                .insert(fold(&name.value, name.quote_style.is_some()));
        }
        match query.body.as_ref() {
            SetExpr::Table(_) => unsupported("a TABLE command"),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_statement(&mut self, _: &Statement) -> ControlFlow<SqlError> {
        unsupported("a statement inside the query")
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<SqlError> {
        if select.into.is_some() {
            return unsupported("SELECT INTO");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<SqlError> {
        match factor {
            TableFactor::Table {
                name, args: None, ..
            } => return self.table(name),
            TableFactor::Table { name, .. } | TableFactor::Function { name, .. } => {
                self.function(name)
            }
            TableFactor::UNNEST { .. } => {
                self.functions.insert("unnest".to_owned());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<SqlError> {
        if let Expr::Function(function) = expr {
            self.function(&function.name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<SqlError> {
        if let Value::Placeholder(text) = &value.value {
            let numbered = self.numbered;
            let fits = |name: &&str| is_param(name) || (numbered && is_number(name));
            match text.strip_prefix('$').filter(fits) {
                Some(name) => {
                    self.params.insert(name.to_owned());
                }
                None => {
                    return ControlFlow::Break(SqlError::Syntax {
                        message: format!("`{text}` is not a parameter: expected `$name`"),
                        line: value.span.start.line,
                        column: value.span.start.column,
                    });
                }
            }
        }
        ControlFlow::Continue(())
    }
}

fn is_param(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
}

struct Binder<'a> {
    values: &'a BTreeMap<String, Expr>,
}

impl VisitorMut for Binder<'_> {
    type Break = SqlError;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        if let Expr::Value(ValueWithSpan {
            value: Value::Placeholder(text),
            ..
        }) = expr
            && let Some(bound) = self.values.get(&text[1..])
        {
            *expr = bound.clone();
        }
        ControlFlow::Continue(())
    }
}

fn literal_expr(name: &str, literal: &Literal) -> Result<Expr, SqlError> {
    let text = match literal {
        Literal::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Literal::Int(number) => signed(*number < 0, number.to_string()),
        Literal::Float(number) if number.is_finite() => {
            signed(number.is_sign_negative(), format!("{number:?}"))
        }
        Literal::Float(_) => {
            return Err(SqlError::ParamValue {
                name: name.to_owned(),
                problem: "it is not a finite number",
            });
        }
        Literal::Time(time) => format!(
            "arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')",
            signed(time.micros() < 0, time.micros().to_string())
        ),
        Literal::Day(day) => format!("DATE '{day}'"),
        Literal::Bool(flag) => flag.to_string(),
    };
    Parser::new(&GenericDialect {})
        .try_with_sql(&text)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|e| syntax(&e))
}

/// Parentheses keep `2 - -3` and `x - $y` apart when the tree is written back.
fn signed(negative: bool, digits: String) -> String {
    if negative {
        format!("({digits})")
    } else {
        digits
    }
}

impl Query {
    /// Returns the line, from 1, at which a table is first read.
    pub fn line_of(&self, table: &TableId) -> Option<u64> {
        self.lines.get(table).copied()
    }

    /// Returns the words of each line of the text: remarks, spacing and the case of what is not quoted are left out.
    pub fn lines(&self) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        self.words
            .iter()
            .map(|line| line.iter().map(String::as_str))
    }

    /// Returns the parsed query.
    pub fn ast(&self) -> &ast::Query {
        &self.ast
    }
}
