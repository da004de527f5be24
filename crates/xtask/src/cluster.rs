//! What `up` decides about a cluster and the supervisor obeys.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::files;

/// A cluster as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Id of the checkout.
    pub id: String,
    /// How many nodes.
    pub nodes: usize,
    /// Port of 127.0.0.1 on the host that leads to the API server.
    pub port: u16,
}

impl Cluster {
    /// As written in the state directory, if there is one.
    pub fn read(state: &Path) -> Result<Option<Self>> {
        let path = state.join("cluster.json");
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).with_context(|| {
            format!("{} is damaged: run `cargo xtask down` and then `cargo xtask up`", path.display())
        })
    }

    /// Writes it into the state directory.
    pub fn write(&self, state: &Path) -> Result<()> {
        files::write_atomically(&state.join("cluster.json"), &serde_json::to_string_pretty(self)?)
    }
}

/// A port that is free now: the wanted one, or any.
pub fn free_port(wanted: Option<u16>) -> Result<u16> {
    if let Some(port) = wanted
        && TcpListener::bind(("127.0.0.1", port)).is_ok()
    {
        return Ok(port);
    }
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}
