//! What the supervisor tells about itself, in `status.json` of the state directory.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::diary::note;
use crate::files;

/// The whole cluster as its supervisor sees it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Status {
    /// What is being done, or `running`.
    pub stage: String,
    /// Why the start failed.
    pub error: Option<String>,
    /// Every started part.
    pub parts: Vec<PartStatus>,
}

/// One process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PartStatus {
    /// Name, also of its log.
    pub name: String,
    /// Whether it runs now.
    pub running: bool,
    /// How often it was started again after it had ended.
    pub restarts: u32,
}

/// Shared by the threads that watch the parts.
#[derive(Clone)]
pub struct Board {
    path: PathBuf,
    status: Arc<Mutex<Status>>,
}

impl Board {
    /// An empty board that writes into the state directory.
    pub fn new(state: &Path) -> Self {
        Self { path: path(state), status: Arc::default() }
    }

    /// What is being done now.
    pub fn stage(&self, stage: &str) {
        note(stage);
        self.change(|status| stage.clone_into(&mut status.stage));
    }

    /// The start failed.
    pub fn fail(&self, error: &str) {
        note(error);
        self.change(|status| status.error = Some(error.to_owned()));
    }

    /// A part runs, or ended and will be started again.
    pub fn part(&self, name: &str, running: bool, restarts: u32) {
        self.change(|status| {
            let part = PartStatus { name: name.to_owned(), running, restarts };
            match status.parts.iter_mut().find(|part| part.name == name) {
                Some(known) => *known = part,
                None => status.parts.push(part),
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        let Ok(mut status) = self.status.lock() else { return };
        change(&mut status);
        let written = serde_json::to_string_pretty(&*status)
            .map_err(anyhow::Error::from)
            .and_then(|text| files::write_atomically(&self.path, &text));
        if let Err(error) = written {
            note(&format!("cannot write the status: {error:#}"));
        }
    }
}

/// The status as last written.
pub fn read(state: &Path) -> Result<Status> {
    Ok(serde_json::from_str(&std::fs::read_to_string(path(state))?)?)
}

/// Where it is.
pub fn path(state: &Path) -> PathBuf {
    state.join("status.json")
}
