//! Several statements in one text, taken line by line as they are typed or read.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// One statement of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptStatement {
    /// The text, without the semicolon.
    pub text: String,
    /// The line of the script on which the text begins, from 1.
    pub line: u64,
}

/// Takes lines and gives out statements as their semicolons come. Semicolons in strings, quoted names and comments do
/// not count.
#[derive(Debug, Default)]
pub struct Script {
    pending: String,
    /// Lines taken before `pending`.
    taken: u64,
}

impl Script {
    /// Takes one line, without its end, and returns the statements that it completes.
    pub fn line(&mut self, line: &str) -> Vec<ScriptStatement> {
        self.pending.push_str(line);
        self.pending.push('\n');
        // Only a semicolon ends a statement, so a long one is not looked at again for each of its lines.
        if !line.contains(';') {
            return Vec::new();
        }
        let tokens = tokens(&self.pending);
        let mut found = Vec::new();
        let (mut from, mut line) = (0, self.taken + 1);
        let mut places = Places::new(&self.pending);
        for token in tokens
            .iter()
            .filter(|token| token.token == Token::SemiColon)
        {
            let at = places.byte_of(token.span.start);
            found.extend(statement(&self.pending[from..at], line));
            line = self.taken + token.span.start.line;
            from = at + 1;
        }
        if from > 0 {
            self.taken = line - 1;
            self.pending.drain(..from);
            if self.is_blank() {
                self.clear();
            }
        }
        found
    }

    /// Returns what is left when the text ends without a semicolon.
    pub fn rest(&mut self) -> Option<ScriptStatement> {
        let rest = statement(&self.pending, self.taken + 1);
        self.clear();
        rest
    }

    /// Forgets an unfinished statement.
    pub fn clear(&mut self) {
        self.taken += self.pending.matches('\n').count() as u64;
        self.pending.clear();
    }

    /// Tells whether a statement has begun.
    pub fn is_blank(&self) -> bool {
        self.pending.trim().is_empty()
    }

    /// The unfinished statement.
    pub fn pending(&self) -> &str {
        &self.pending
    }

    /// Passes over a line that belongs to no statement, and returns its number.
    pub fn skip_line(&mut self) -> u64 {
        self.clear();
        self.taken += 1;
        self.taken
    }
}

/// What can be read; a string or a comment that does not end hides the rest.
fn tokens(text: &str) -> Vec<TokenWithSpan> {
    let mut tokens = Vec::new();
    let _ = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location_into_buf(&mut tokens);
    tokens
}

/// A piece of a script, or nothing if it holds only spaces and comments.
fn statement(piece: &str, line: u64) -> Option<ScriptStatement> {
    let says = |token: &TokenWithSpan| !matches!(token.token, Token::Whitespace(_));
    let tokens = tokens(piece);
    // What cannot be read at all is for the parser to complain about.
    let readable = tokens.iter().any(says);
    if piece.trim().is_empty() || (!readable && is_comment(piece)) {
        return None;
    }
    let lead = piece.len() - piece.trim_start().len();
    Some(ScriptStatement {
        text: piece.trim().to_owned(),
        line: line + piece[..lead].matches('\n').count() as u64,
    })
}

fn is_comment(piece: &str) -> bool {
    Tokenizer::new(&GenericDialect {}, piece).tokenize().is_ok()
}

/// Turns places, which come in order, into byte offsets.
struct Places<'a> {
    chars: std::str::CharIndices<'a>,
    here: Location,
    end: usize,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            chars: text.char_indices(),
            here: Location { line: 1, column: 1 },
            end: text.len(),
        }
    }

    fn byte_of(&mut self, place: Location) -> usize {
        loop {
            let at = self.chars.offset();
            if (self.here.line, self.here.column) >= (place.line, place.column) {
                return at;
            }
            match self.chars.next() {
                Some((_, '\n')) => {
                    self.here.line += 1;
                    self.here.column = 1;
                }
                Some(_) => self.here.column += 1,
                None => return self.end,
            }
        }
    }
}
