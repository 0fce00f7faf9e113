//! What the process takes of the system, read when somebody asks. Linux tells it in `/proc`; elsewhere nothing is told.

use std::fs;

/// Descriptors and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Descriptors open now.
    pub(super) descriptors: u64,
    /// Most descriptors that it may have open; `None` without a limit.
    pub(super) descriptors_max: Option<u64>,
    /// Octets of memory that are its own now.
    pub(super) resident: u64,
}

impl Process {
    /// Reads all; `None` where the system does not tell.
    pub(super) fn read() -> Option<Self> {
        // One of them is that of the folder itself.
        let descriptors = u64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()?.saturating_sub(1);
        let descriptors_max = descriptors_max(&fs::read_to_string("/proc/self/limits").ok()?);
        let resident = resident(&fs::read_to_string("/proc/self/status").ok()?)?;
        Some(Self { descriptors, descriptors_max, resident })
    }
}

/// Most descriptors that the process may have open; `None` without a limit, or where the system does not tell.
#[must_use]
pub fn descriptor_limit() -> Option<u64> {
    descriptors_max(&fs::read_to_string("/proc/self/limits").ok()?)
}

/// The soft limit of open files.
fn descriptors_max(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The resident set, which is told in kibibytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_words_are_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 524288               files\n";
        assert_eq!(descriptors_max(limits), Some(1024));
        assert_eq!(descriptors_max("Max open files            unlimited            unlimited            files"), None);
        assert_eq!(resident("VmPeak:\t  99 kB\nVmRSS:\t    5120 kB\n"), Some(5_242_880));
        assert_eq!((descriptors_max(""), resident("VmRSS: ?")), (None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_is_open_is_counted() {
        let before = Process::read().unwrap();
        assert!(before.descriptors >= 3 && before.resident > 1 << 20);
        assert!(before.descriptors_max.is_none_or(|most| most > before.descriptors));
    }
}
