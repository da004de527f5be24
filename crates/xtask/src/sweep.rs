//! Removes what clusters without a living supervisor left behind.

use anyhow::Result;

use crate::cgroups::Hierarchies;
use crate::register::{self, Entry};

/// Remains of this checkout's own last run; the caller holds the entry.
pub fn own(id: &str) -> Result<()> {
    Hierarchies::read()?.remove(id)
}

/// Remains of clusters that nobody owns any more. A living cluster holds its
/// entry, so its directories are never looked at.
pub fn orphans() -> Result<Vec<String>> {
    let hierarchies = Hierarchies::read()?;
    let mut ids = hierarchies.clusters();
    ids.extend(register::ids());
    ids.sort();
    ids.dedup();
    let mut swept = Vec::new();
    for id in ids {
        let Some(entry) = Entry::take(&id)? else { continue };
        hierarchies.remove(&id)?;
        entry.remove()?;
        swept.push(id);
    }
    Ok(swept)
}
