//! Memory of this process.

use std::fs;

/// Anonymous memory that this process has resident, in bytes; 0 where the kernel does not say.
#[must_use]
pub fn anonymous_bytes() -> u64 {
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|text| field_bytes(&text, "RssAnon:"))
        .unwrap_or(0)
}

/// Memory of the machine that could be given to programs now, in bytes; 0 where unknown.
#[must_use]
pub fn available_bytes() -> u64 {
    fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| field_bytes(&text, "MemAvailable:"))
        .unwrap_or(0)
}

fn field_bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_field_that_is_asked_for() {
        let text = "VmHWM:\t     900 kB\nRssAnon:\t      12 kB\n";
        assert_eq!(field_bytes(text, "RssAnon:"), Some(12 << 10));
        assert_eq!(field_bytes(text, "RssFile:"), None);
        assert!(anonymous_bytes() > 0 && available_bytes() > 0);
    }
}
