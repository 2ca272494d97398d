//! Lines and fields: separator, byte order mark, headers, ragged lines, cut files.

use csv::ByteRecord;

use crate::columns::ColumnSpec;
use crate::dataset::Dataset;
use crate::number::Number;
use crate::reject::{DocumentError, Reason};
use crate::sink::{At, Sink};
use crate::units::TimeField;

/// A CSV document with its header read.
pub(crate) struct Table<'a> {
    reader: csv::Reader<&'a [u8]>,
    header: Vec<String>,
    body: &'a [u8],
    separator: u8,
    final_newline: bool,
}

impl<'a> Table<'a> {
    pub(crate) fn open(body: &'a [u8], dataset: &Dataset) -> Result<Self, DocumentError> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        check_text(body)?;
        let separator = dataset.separator.unwrap_or_else(|| guess_separator(body));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .flexible(true)
            .from_reader(body);
        let header = reader
            .byte_headers()
            .map_err(|error| DocumentError::new(Reason::Damaged, error.to_string()))?
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        Ok(Self {
            reader,
            header,
            body,
            separator,
            final_newline: dataset.final_newline,
        })
    }

    pub(crate) fn header(&self) -> &[String] {
        &self.header
    }

    pub(crate) fn index(&self, column: &str) -> Option<usize> {
        self.header.iter().position(|name| name == column)
    }

    pub(crate) fn missing(&self, ours: &str, column: &str) -> String {
        let found = self.header.join(", ");
        format!("no column `{column}` (for {ours}); found {found}")
    }

    /// Binds a mapped column of ours; an unmapped one binds to nothing.
    pub(crate) fn bind<'d>(
        &self,
        dataset: &'d Dataset,
        ours: &str,
    ) -> Result<Bound<'d>, DocumentError> {
        let Some(spec) = dataset.columns.get(ours) else {
            return Ok(Bound(None));
        };
        match self.index(&spec.column) {
            Some(index) => Ok(Bound(Some((index, spec)))),
            None => Err(DocumentError::new(
                Reason::MissingColumn,
                self.missing(ours, &spec.column),
            )),
        }
    }

    /// Binds a column that rows can do without: when the document lacks it, a note is left.
    pub(crate) fn bind_optional<'d>(
        &self,
        dataset: &'d Dataset,
        ours: &str,
        sink: &mut Sink<'_>,
    ) -> Bound<'d> {
        self.bind(dataset, ours).unwrap_or_else(|error| {
            sink.warn_document(error.reason, format!("{}; null", error.detail));
            Bound(None)
        })
    }

    /// Hands every line with the right number of fields to `row`.
    pub(crate) fn each(
        mut self,
        sink: &mut Sink<'_>,
        mut row: impl FnMut(&mut Sink<'_>, &ByteRecord, At<'_>),
    ) -> Result<(), DocumentError> {
        let ends = self
            .body
            .last()
            .is_some_and(|byte| matches!(byte, b'\n' | b'\r'));
        if self.final_newline && !ends {
            let detail = "does not end with a line break";
            return Err(DocumentError::new(Reason::Truncated, detail));
        }
        let separator = self.separator;
        let mut record = ByteRecord::new();
        // A short line is a bad row in the middle of a file and a cut file at its end.
        let mut ragged: Option<(i64, String, String)> = None;
        let mut rows = 0_u64;
        while self
            .reader
            .read_byte_record(&mut record)
            .map_err(|error| DocumentError::new(Reason::Damaged, error.to_string()))?
        {
            if let Some((line, detail, raw)) = ragged.take() {
                sink.malformed(
                    At {
                        row: line,
                        raw: &|| raw.clone(),
                    },
                    Reason::FieldCount,
                    detail,
                );
            }
            rows += 1;
            let line = record.position().map_or(0, |position| position.line()) as i64;
            let raw = || raw_text(&record, separator);
            if record.len() == self.header.len() {
                row(
                    sink,
                    &record,
                    At {
                        row: line,
                        raw: &raw,
                    },
                );
                continue;
            }
            let text = raw();
            if text.contains('\n') {
                let detail = format!("line {line}: a quote is opened and not closed");
                return Err(DocumentError::new(Reason::Damaged, detail));
            }
            let detail = format!(
                "{} fields, the header has {}",
                record.len(),
                self.header.len()
            );
            ragged = Some((line, detail, text));
        }
        if let Some((line, detail, raw)) = ragged {
            if !ends {
                let detail = format!("the last line ({line}) is cut: {detail}");
                return Err(DocumentError::new(Reason::Truncated, detail));
            }
            sink.malformed(
                At {
                    row: line,
                    raw: &|| raw.clone(),
                },
                Reason::FieldCount,
                detail,
            );
        }
        if !ends && rows > 0 {
            let detail = "the last line may be cut";
            sink.warn_document(Reason::NoFinalNewline, detail);
        }
        Ok(())
    }
}

/// A column of ours and where it stands in the line; nothing when it is not mapped.
#[derive(Clone, Copy)]
pub(crate) struct Bound<'d>(Option<(usize, &'d ColumnSpec)>);

impl Bound<'_> {
    pub(crate) fn number(&self, record: &ByteRecord) -> Number {
        self.0.map_or(Number::Missing, |(index, spec)| {
            spec.number(record.get(index).unwrap_or_default())
        })
    }

    /// The field's number before any change of unit.
    pub(crate) fn plain_number(&self, record: &ByteRecord) -> Number {
        self.0.map_or(Number::Missing, |(index, _)| {
            Number::from_bytes(record.get(index).unwrap_or_default())
        })
    }

    pub(crate) fn time(&self, record: &ByteRecord) -> TimeField {
        self.0.map_or(TimeField::Missing, |(index, spec)| {
            spec.time(record.get(index).unwrap_or_default())
        })
    }

    /// Text of the field; nothing when it is empty.
    pub(crate) fn text<'r>(&self, record: &'r ByteRecord) -> Option<&'r str> {
        let (index, _) = self.0?;
        let text = std::str::from_utf8(record.get(index)?).ok()?.trim();
        (!text.is_empty()).then_some(text)
    }
}

/// The four columns that every kind of row may have.
pub(crate) struct CommonColumns<'d> {
    asset: Bound<'d>,
    event: Bound<'d>,
    vendor: Bound<'d>,
    known_after: Bound<'d>,
}

impl<'d> CommonColumns<'d> {
    pub(crate) fn bind(table: &Table<'_>, dataset: &'d Dataset) -> Result<Self, DocumentError> {
        Ok(Self {
            asset: table.bind(dataset, "asset")?,
            event: table.bind(dataset, "event_time")?,
            vendor: table.bind(dataset, "vendor_time")?,
            known_after: table.bind(dataset, "known_after")?,
        })
    }

    pub(crate) fn asset<'r>(&self, record: &'r ByteRecord) -> Option<&'r str> {
        self.asset.text(record)
    }

    pub(crate) fn times(&self, record: &ByteRecord) -> crate::sink::Times {
        crate::sink::Times {
            event: self.event.time(record),
            vendor: self.vendor.time(record),
            known_after: self.known_after.time(record),
        }
    }
}

fn raw_text(record: &ByteRecord, separator: u8) -> String {
    let fields: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
    fields.join(&char::from(separator).to_string())
}

fn check_text(body: &[u8]) -> Result<(), DocumentError> {
    match std::str::from_utf8(body) {
        Err(error) => {
            let detail = format!("not UTF-8 at byte {}", error.valid_up_to());
            return Err(DocumentError::new(Reason::Damaged, detail));
        }
        Ok(text) if text.contains('\0') => {
            return Err(DocumentError::new(
                Reason::Damaged,
                "holds a zero byte: not text",
            ));
        }
        Ok(_) => {}
    }
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(first @ (b'<' | b'{' | b'[')) => {
            let detail = format!("begins with `{}`: not CSV", char::from(*first));
            Err(DocumentError::new(Reason::UnknownFormat, detail))
        }
        _ => Ok(()),
    }
}

/// The separator that the header has most of.
fn guess_separator(body: &[u8]) -> u8 {
    let header = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |separator: u8| header.iter().filter(|byte| **byte == separator).count();
    let mut best = b',';
    for separator in [b';', b'\t', b'|'] {
        if count(separator) > count(best) {
            best = separator;
        }
    }
    best
}
