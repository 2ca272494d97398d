//! Bounds of a query as people write them: memory and time.

use std::time::Duration;

use lakectl_pipeline::PipelineError;

/// Memory where the machine does not say how much it has.
const MEMORY_UNKNOWN: u64 = 4 << 30;
/// Less than this lets no sort or join begin.
const MEMORY_MIN: u64 = 1 << 20;
const SHARE: &str = "50%";

/// The bytes that queries may use: the flag's, else the settings', else half of the machine's.
pub(super) fn memory(flag: Option<&str>, setting: Option<&str>) -> Result<usize, PipelineError> {
    let (place, text) = match (flag, setting) {
        (Some(text), _) => ("--memory", text),
        (None, Some(text)) => ("sql.memory", text),
        (None, None) => ("sql.memory", SHARE),
    };
    let bytes = size(text, machine_memory()).filter(|bytes| *bytes >= MEMORY_MIN);
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| {
        PipelineError::usage(
            format!("`{place}` is `{text}`, which is no amount of memory"),
            "write a size of at least 1MiB such as 512MiB or 2GiB, or a share of the machine's memory such as 50%",
        )
    })
}

fn size(text: &str, whole: u64) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
    let number: f64 = digits.trim().parse().ok()?;
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "%" if number <= 100.0 => whole as f64 / 100.0,
        "" | "b" => 1.0,
        "kib" | "k" => 1024.0,
        "mib" | "m" => 1024.0 * 1024.0,
        "gib" | "g" => 1024.0 * 1024.0 * 1024.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        _ => return None,
    };
    let bytes = number * unit;
    (bytes.is_finite() && bytes > 0.0).then_some(bytes as u64)
}

/// The machine's memory, or that of the container this runs in if it has less.
fn machine_memory() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib << 10)
    });
    let container = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let container = container
        .iter()
        .filter_map(|path| read(path)?.trim().parse::<u64>().ok())
        .min();
    match (machine, container) {
        (Some(machine), Some(container)) => machine.min(container),
        (Some(machine), None) => machine,
        (None, _) => MEMORY_UNKNOWN,
    }
}

/// Reads `500ms`, `30s`, `5m` or `2h`; a number alone is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, PipelineError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => Some(0.001),
        "" | "s" => Some(1.0),
        "m" | "min" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    };
    let seconds = digits
        .parse::<f64>()
        .ok()
        .zip(unit)
        .map(|(n, unit)| n * unit);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| {
            PipelineError::usage(
                format!("`--timeout {text}` is no length of time"),
                "write for example 500ms, 30s, 5m or 2h",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_shares() {
        let whole = 8 << 30;
        for (text, bytes) in [
            ("2GiB", Some(2 << 30)),
            ("512MiB", Some(512 << 20)),
            ("1.5g", Some(3 << 29)),
            ("64 MiB", Some(64 << 20)),
            ("25%", Some(2 << 30)),
            ("1000000", Some(1_000_000)),
            ("5 MB", Some(5_000_000)),
            ("120%", None),
            ("-1GiB", None),
            ("lots", None),
            ("2GiBi", None),
            ("", None),
        ] {
            assert_eq!(size(text, whole), bytes, "{text}");
        }
        let error = memory(None, Some("a lot")).unwrap_err().to_string();
        assert!(error.contains("sql.memory"), "{error}");
        assert!(memory(Some("10B"), None).is_err());
        assert_eq!(memory(Some("2GiB"), Some("1GiB")).unwrap(), 2 << 30);
    }

    #[test]
    fn lengths_of_time() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2", 2_000),
            ("1.5m", 90_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                duration(text).unwrap(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
        for text in ["", "0s", "-1s", "soon", "5days"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
