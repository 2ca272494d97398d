//! How much memory the process has had.

/// Returns the most resident memory that this process has had so far, where the system tells.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    peak_in(&status)
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_what_the_system_says() {
        let status = "Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t   52428 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(peak_in(status), Some(52_428 * 1024));
        assert_eq!(peak_in("VmHWM: many\n"), None);
        assert_eq!(peak_in(""), None);
    }
}
