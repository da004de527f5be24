//! What a person at the terminal sees of the stages: a line when one starts, how
//! far it is, and how long it took. Stages run in parallel, so each line is whole.

use std::cell::Cell;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Lines about how far a stage is come at most this often.
const STEP: Duration = Duration::from_secs(5);

/// All stages of one command.
pub struct Progress {
    start: Instant,
    finished: Mutex<Vec<(String, Duration)>>,
}

/// One running stage.
pub struct Stage<'a> {
    progress: &'a Progress,
    name: &'a str,
    start: Instant,
    last: Cell<Option<Instant>>,
}

impl Progress {
    /// The clock starts now.
    pub fn new() -> Self {
        Self { start: Instant::now(), finished: Mutex::new(Vec::new()) }
    }

    /// Runs a stage: says its result and its time.
    pub fn stage<T>(&self, name: &str, work: impl FnOnce(&Stage) -> Result<T>) -> Result<T> {
        let stage = Stage { progress: self, name, start: Instant::now(), last: Cell::new(None) };
        let result = work(&stage);
        let took = stage.start.elapsed();
        match &result {
            Ok(_) => self.line(name, &format!("done in {}", seconds(took))),
            // At once: other stages may still run for minutes.
            Err(error) => {
                let error = error.to_string();
                let first = error.lines().next().unwrap_or_default();
                self.line(name, &format!("FAILED after {}: {first}", seconds(took)));
            }
        }
        if let Ok(mut finished) = self.finished.lock() {
            finished.push((name.to_owned(), took));
        }
        result
    }

    /// One line about a stage.
    pub fn line(&self, stage: &str, text: &str) {
        println!("[{:>7}] {stage:<11} {text}", seconds(self.start.elapsed()));
    }

    /// Every finished stage with its time, and the whole.
    pub fn summary(&self) -> String {
        let finished = self.finished.lock().map(|list| list.clone()).unwrap_or_default();
        let mut parts: Vec<String> =
            finished.iter().map(|(name, took)| format!("{name} {}", seconds(*took))).collect();
        parts.push(format!("in all {}", seconds(self.start.elapsed())));
        parts.join(" · ")
    }
}

impl Stage<'_> {
    /// A line that always appears.
    pub fn say(&self, text: &str) {
        self.progress.line(self.name, text);
    }

    /// A line about how far the stage is: left out when the last one is fresh.
    pub fn step(&self, text: &str) {
        let now = Instant::now();
        if self.last.get().is_none_or(|last| now.duration_since(last) >= STEP) {
            self.last.set(Some(now));
            self.say(text);
        }
    }
}

/// Seconds with one decimal.
pub fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}
