//! Cgroup directories of a cluster: `matriarch-<id>/nodeN` in every hierarchy.
//! They are the only thing that outlives the cluster's namespaces.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const PREFIX: &str = "matriarch-";

/// Mount points of all cgroup hierarchies.
#[derive(Debug, Clone)]
pub struct Hierarchies {
    v1: Vec<PathBuf>,
    v2: Option<PathBuf>,
}

impl Hierarchies {
    /// As this process sees them mounted.
    pub fn read() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
        Ok(Self::parse(&mounts))
    }

    fn parse(mounts: &str) -> Self {
        let mut all = Self { v1: Vec::new(), v2: None };
        for line in mounts.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            match fields[..] {
                [_, point, "cgroup", ..] => all.v1.push(point.into()),
                [_, point, "cgroup2", ..] => all.v2 = Some(point.into()),
                _ => {}
            }
        }
        all
    }

    /// Whether the machine has controllers in version 2 only.
    pub fn is_pure_v2(&self) -> bool {
        self.v1.is_empty() && self.v2.is_some()
    }

    /// Creates the cgroup of a node in every hierarchy.
    pub fn create(&self, id: &str, node: &str) -> Result<()> {
        let cluster = format!("{PREFIX}{id}");
        for point in &self.v1 {
            let outer = point.join(&cluster);
            make(&outer)?;
            inherit_cpuset(point, &outer);
            let inner = outer.join(node);
            make(&inner)?;
            inherit_cpuset(&outer, &inner);
        }
        if let (true, Some(point)) = (self.is_pure_v2(), &self.v2) {
            let outer = point.join(&cluster);
            pass_controllers(point);
            make(&outer)?;
            pass_controllers(&outer);
            make(&outer.join(node))?;
        }
        Ok(())
    }

    /// Ids of all clusters that have a directory here.
    pub fn clusters(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .points()
            .filter_map(|point| fs::read_dir(point).ok())
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix(PREFIX).map(str::to_owned))
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Removes everything of a cluster. Processes that are still dying get a
    /// moment; after that the rest is killed: nobody owns it.
    pub fn remove(&self, id: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let left: Vec<PathBuf> = self
                .points()
                .map(|point| point.join(format!("{PREFIX}{id}")))
                .filter(|dir| dir.exists() && !remove_tree(dir))
                .collect();
            let Some(first) = left.first() else { return Ok(()) };
            if start.elapsed() > Duration::from_secs(15) {
                bail!(
                    "cannot remove the cgroup {}: see its cgroup.procs, then run this again",
                    first.display()
                );
            }
            if start.elapsed() > Duration::from_secs(2) {
                left.iter().for_each(|dir| kill_tree(dir));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn points(&self) -> impl Iterator<Item = &PathBuf> {
        self.v1.iter().chain(&self.v2)
    }
}

/// Where the kubelet puts its pods, as a path inside the hierarchies.
pub fn kubelet_root(id: &str, node: &str) -> String {
    format!("/{PREFIX}{id}/{node}")
}

fn make(dir: &Path) -> Result<()> {
    match fs::create_dir(dir) {
        // The nodes of a cluster start side by side and share the outer one.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.with_context(|| format!("cannot create the cgroup {}", dir.display())),
    }
}

/// A new cpuset of version 1 is empty and takes no process until both are set.
fn inherit_cpuset(parent: &Path, child: &Path) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(value) = fs::read_to_string(parent.join(file)) {
            fs::write(child.join(file), value.trim()).ok();
        }
    }
}

fn pass_controllers(dir: &Path) {
    let available = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    for controller in available.split_whitespace() {
        fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}")).ok();
    }
}

/// Leaf first; true when all of it is gone.
fn remove_tree(dir: &Path) -> bool {
    for child in children(dir) {
        remove_tree(&child);
    }
    fs::remove_dir(dir).is_ok() || !dir.exists()
}

fn kill_tree(dir: &Path) {
    children(dir).iter().for_each(|child| kill_tree(child));
    let processes = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    for process in processes.lines().filter_map(|line| line.parse().ok()).filter(|id| *id > 1) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), nix::sys::signal::Signal::SIGKILL).ok();
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_and_pure_machines_are_told_apart() {
        let hybrid =
            "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let pure = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\nproc /proc proc rw 0 0\n";
        assert!(!Hierarchies::parse(hybrid).is_pure_v2());
        assert!(Hierarchies::parse(pure).is_pure_v2());
    }
}
