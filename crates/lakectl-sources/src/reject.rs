//! Rows and documents left out, each with a stable reason.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef;
use lakectl_core::{Contract, UtcTime};

use crate::document::Document;
use crate::rows::{UTC, contract_of, schema_of};

const REJECTS: &str = "document_id utf8, document utf8, row i64?, reason utf8, detail utf8, severity utf8, \
                       raw utf8?, event_time ts?";

/// Longest `raw`, in characters.
const RAW_CHARS_MAX: usize = 500;

/// Why a document, a row or a value was left out. The codes are stable: people filter on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The document has no content.
    EmptyDocument,
    /// The document ends too early.
    Truncated,
    /// The document cannot be unpacked or is not text where text is expected.
    Damaged,
    /// The document is not of the declared format.
    UnknownFormat,
    /// The vendor answered with an error instead of data.
    VendorError,
    /// A declared column is not in the document.
    MissingColumn,
    /// The document's name has no time where the declaration expects one.
    Misnamed,
    /// The document is well formed and holds no row.
    NoRows,
    /// Many quotes of the chain have neither bid nor ask.
    HalfEmpty,
    /// The document does not end with a line break; its last row may be cut.
    NoFinalNewline,
    /// A line has too many or too few fields.
    FieldCount,
    /// A required value is absent.
    MissingValue,
    /// Text where a number is expected.
    NotANumber,
    /// NaN or an infinity.
    NotFinite,
    /// A price, size or level below zero.
    NegativeValue,
    /// A zero where a price must be positive.
    ZeroPrice,
    /// A time that cannot be read in the declared unit.
    BadTime,
    /// An instrument whose terms cannot be found.
    BadInstrument,
    /// Columns that contradict each other.
    Inconsistent,
    /// A volatility outside 1 % to 2,000 %: most often a wrong unit.
    ImplausibleIv,
    /// The bid is above the ask.
    Crossed,
    /// The contract had expired when it was quoted.
    Expired,
    /// The document was recorded before the row's period was over.
    Unfinished,
    /// The row describes a time after the document was recorded.
    AfterDocument,
    /// A second row for the same thing and time in one document; the first is kept.
    Duplicate,
}

impl Reason {
    /// Returns the code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::EmptyDocument => "empty_document",
            Self::Truncated => "truncated",
            Self::Damaged => "damaged",
            Self::UnknownFormat => "unknown_format",
            Self::VendorError => "vendor_error",
            Self::MissingColumn => "missing_column",
            Self::Misnamed => "misnamed",
            Self::NoRows => "no_rows",
            Self::HalfEmpty => "half_empty",
            Self::NoFinalNewline => "no_final_newline",
            Self::FieldCount => "field_count",
            Self::MissingValue => "missing_value",
            Self::NotANumber => "not_a_number",
            Self::NotFinite => "not_finite",
            Self::NegativeValue => "negative_value",
            Self::ZeroPrice => "zero_price",
            Self::BadTime => "bad_time",
            Self::BadInstrument => "bad_instrument",
            Self::Inconsistent => "inconsistent",
            Self::ImplausibleIv => "implausible_iv",
            Self::Crossed => "crossed",
            Self::Expired => "expired",
            Self::Unfinished => "unfinished",
            Self::AfterDocument => "after_document",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Whether something was left out or only noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The row, or the whole document when `row` is null, was left out.
    Reject,
    /// Kept, but a value was set to null or the document deserves a look.
    Warn,
}

impl Severity {
    /// Returns the word stored in `severity`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Warn => "warn",
        }
    }
}

/// Why a whole document gives nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DocumentError {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl DocumentError {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

/// One line of quarantine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reject {
    pub(crate) row: Option<i64>,
    pub(crate) reason: Reason,
    pub(crate) detail: String,
    pub(crate) severity: Severity,
    pub(crate) raw: Option<String>,
    pub(crate) event_time: Option<UtcTime>,
}

/// Cuts text to what `raw` may hold.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(RAW_CHARS_MAX).collect()
}

/// Returns the columns of rejects: document, 1-based line or element (null for a whole document), reason, detail,
/// severity, the offending text and its event time.
pub fn rejects_contract() -> Contract {
    contract_of(&[REJECTS])
}

/// Returns the Arrow schema of rejects.
pub fn rejects_schema() -> SchemaRef {
    schema_of(&rejects_contract())
}

pub(crate) fn batch(document: &Document, rejects: &[Reject]) -> RecordBatch {
    let id = document.id.to_string();
    let text = |f: &dyn Fn(&Reject) -> String| StringArray::from_iter_values(rejects.iter().map(f));
    let times = rejects.iter().map(|r| r.event_time.map(UtcTime::micros));
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rejects.iter().map(|_| &id))),
        Arc::new(StringArray::from_iter_values(
            rejects.iter().map(|_| &document.name),
        )),
        Arc::new(Int64Array::from_iter(rejects.iter().map(|r| r.row))),
        Arc::new(text(&|r| r.reason.code().to_owned())),
        Arc::new(text(&|r| r.detail.clone())),
        Arc::new(text(&|r| r.severity.word().to_owned())),
        Arc::new(StringArray::from_iter(
            rejects.iter().map(|r| r.raw.as_deref()),
        )),
        Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone(UTC)),
    ];
    RecordBatch::try_new(rejects_schema(), columns).expect("columns are built after the schema")
}
