//! One process of the cluster: started, logged, and started again when it ends.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::diary::note;
use super::status::Board;
use crate::checkout::INSIDE;
use crate::files;

/// A process that is kept running.
pub struct Part {
    /// Name, also of its log.
    pub name: String,
    /// Program and arguments.
    pub words: Vec<String>,
}

impl Part {
    /// One of our Go parts, with its arguments.
    pub fn new(name: &str, arguments: impl IntoIterator<Item = String>) -> Self {
        let mut words = vec![program(name)];
        words.extend(arguments);
        Self { name: name.to_owned(), words }
    }

    /// The same with more arguments.
    pub fn with(mut self, more: Vec<String>) -> Self {
        self.words.extend(more);
        self
    }

    /// Starts it, and keeps it running from a thread of its own.
    pub fn keep(self, board: &Board) -> Result<()> {
        let board = board.clone();
        let path = format!("{INSIDE}/logs/{}.log", self.name);
        let path = Path::new(&path).to_path_buf();
        if path.exists() {
            std::fs::rename(&path, path.with_extension("log.1"))?;
        }
        let mut child = self.spawn(&path)?;
        board.part(&self.name, true, 0);
        thread::spawn(move || {
            let mut restarts = 0;
            loop {
                let started = Instant::now();
                let ended = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                restarts += 1;
                board.part(&self.name, false, restarts);
                let words = files::tail(&path, 3);
                note(&format!(
                    "{} ended with {ended}, starting it again; its last words:\n{words}",
                    self.name
                ));
                child = loop {
                    thread::sleep(pause(started.elapsed()));
                    match self.spawn(&path) {
                        Ok(child) => break child,
                        Err(error) => note(&format!("{error:#}")),
                    }
                };
                board.part(&self.name, true, restarts);
            }
        });
        Ok(())
    }

    fn spawn(&self, log: &Path) -> Result<std::process::Child> {
        let log = File::options().create(true).append(true).open(log)?;
        Command::new(&self.words[0])
            .args(&self.words[1..])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))
    }
}

/// Path of one of our Go parts inside.
pub fn program(name: &str) -> String {
    format!("{INSIDE}/parts/{name}")
}

/// What ends right after its start gets more time.
fn pause(lived: Duration) -> Duration {
    if lived < Duration::from_secs(10) { Duration::from_secs(5) } else { Duration::from_millis(500) }
}
