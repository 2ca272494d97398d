//! Date patterns of `%Y %m %d %H %M %S`, for columns such as `20210809` and for names of files.

use lakectl_core::{Day, UtcTime};

/// A pattern such as `%Y%m%dT%H%M%SZ`. Months and smaller have two digits, years four; what is absent is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimePattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Literal(u8),
    /// Index into (year, month, day, hour, minute, second).
    Field(usize),
}

const LETTERS: [char; 6] = ['Y', 'm', 'd', 'H', 'M', 'S'];

impl TimePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence that says what is wrong: an unknown letter, or no year, month and day.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                let mut bytes = [0; 4];
                parts.extend(letter.encode_utf8(&mut bytes).bytes().map(Part::Literal));
                continue;
            }
            let name = letters.next().unwrap_or(' ');
            match LETTERS.iter().position(|known| *known == name) {
                Some(field) => parts.push(Part::Field(field)),
                None => {
                    return Err(format!("`%{name}` is unknown; known are %Y %m %d %H %M %S"));
                }
            }
        }
        if (0..3).any(|field| !parts.contains(&Part::Field(field))) {
            return Err(format!("`{text}` needs %Y, %m and %d"));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// Returns the pattern's text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads `text`, which must be the pattern and nothing else.
    pub fn parse(&self, text: &str) -> Option<UtcTime> {
        let (end, time) = self.read_at(text.as_bytes(), 0)?;
        (end == text.len()).then_some(time)
    }

    /// Returns the first time found inside `text` that is not part of a longer run of digits.
    pub fn find(&self, text: &str) -> Option<UtcTime> {
        let bytes = text.as_bytes();
        let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        (0..bytes.len()).find_map(|start| {
            let (end, time) = self.read_at(bytes, start)?;
            let inside_digits = (start > 0 && is_digit(start) && is_digit(start - 1))
                || (is_digit(end) && is_digit(end - 1));
            (!inside_digits).then_some(time)
        })
    }

    fn read_at(&self, bytes: &[u8], start: usize) -> Option<(usize, UtcTime)> {
        let mut fields = [0_u32; 6];
        let mut at = start;
        for part in &self.parts {
            match part {
                Part::Literal(byte) => {
                    if bytes.get(at) != Some(byte) {
                        return None;
                    }
                    at += 1;
                }
                Part::Field(field) => {
                    let width = if *field == 0 { 4 } else { 2 };
                    let text = std::str::from_utf8(bytes.get(at..at + width)?).ok()?;
                    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
                        return None;
                    }
                    fields[*field] = text.parse().ok()?;
                    at += width;
                }
            }
        }
        let [year, month, day, hour, minute, second] = fields;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let midnight = Day::from_ymd(year as i32, month, day)?.start().micros();
        let seconds = i64::from(hour * 3_600 + minute * 60 + second);
        Some((at, UtcTime::from_micros(midnight + seconds * 1_000_000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_times_in_file_names() {
        let pattern = TimePattern::new("%Y%m%dT%H%M%SZ").unwrap();
        let want = "2026-01-13T09:21:45Z".parse().ok();
        assert_eq!(pattern.find("snapshot_20260113T092145Z.csv.zst"), want);
        assert_eq!(pattern.find("é20260113T092145Z"), want);
        for bad in [
            "snapshot.csv",
            "20261313T092145Z",
            "920260113T092145Z",
            "20260113T0921",
        ] {
            assert_eq!(pattern.find(bad), None, "{bad}");
        }
        let day = TimePattern::new("%Y-%m-%d").unwrap();
        assert_eq!(day.find("v_2026-03-23/x.csv"), "2026-03-23".parse().ok());
        assert_eq!(day.find("2026-03-234"), None);
        assert!(TimePattern::new("%H:%M").is_err());
        assert!(TimePattern::new("%Y%m%d%q").is_err());
    }
}
