//! What the container offers: installed PostgreSQL versions, memory, the version of the data at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Facts about the container and its volume that the configuration depends on.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Name of the pod, which is Patroni's member name.
    pub hostname: String,
    /// Installed major versions, each with the names of its loadable libraries.
    pub majors: BTreeMap<u32, BTreeSet<String>>,
    /// Memory that PostgreSQL may count on, in MiB: the smaller of the cgroup's limit and the machine's.
    pub memory_mib: u64,
    /// Major version of the data directory, when there is one.
    pub data_major: Option<u32>,
}

/// Where Debian puts the binaries of each major version.
pub const POSTGRESQL_ROOT: &str = "/usr/lib/postgresql";

/// The directory of one major version's binaries.
#[must_use]
pub fn bin_dir(major: u32) -> String {
    format!("{POSTGRESQL_ROOT}/{major}/bin")
}

impl Machine {
    /// Looks at this container; `data_dir` is PostgreSQL's data directory, which need not exist.
    #[must_use]
    pub fn look(data_dir: &Path) -> Self {
        Self {
            hostname: hostname(),
            majors: majors(Path::new(POSTGRESQL_ROOT)),
            memory_mib: memory_mib(),
            data_major: fs::read_to_string(data_dir.join("PG_VERSION"))
                .ok()
                .and_then(|text| text.trim().parse().ok()),
        }
    }
}

fn hostname() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// A version counts as installed when its server binary is there.
fn majors(root: &Path) -> BTreeMap<u32, BTreeSet<String>> {
    let Ok(entries) = fs::read_dir(root) else { return BTreeMap::new() };
    entries
        .flatten()
        .filter(|entry| entry.path().join("bin/postgres").is_file())
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, libraries(&entry.path().join("lib"))))
        })
        .collect()
}

fn libraries(directory: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(directory) else { return BTreeSet::new() };
    entries
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".so")?.to_owned()))
        .collect()
}

fn memory_mib() -> u64 {
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    limits
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok())
        .map(|bytes| bytes / (1024 * 1024))
        .chain(physical_mib(&fs::read_to_string("/proc/meminfo").unwrap_or_default()))
        .min()
        .unwrap_or(1024)
}

fn physical_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn physical_memory_is_read_from_meminfo() {
        assert_eq!(physical_mib("MemTotal:       24684096 kB\nMemFree: 1 kB\n"), Some(24105));
        assert_eq!(physical_mib(""), None);
    }
}
