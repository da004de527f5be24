//! Sees a creation without disturbing it: watches of the API server, and one session
//! on the primary that asks ten times a second. No polling, no process per look.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Deserializer, Value};

use super::moment::{self, Moment, Moments};
use crate::shell;
use crate::target::Target;

/// What one of the watchers saw, and when.
enum Seen {
    Object(Instant, Box<Value>),
    Answer(Instant, String),
}

/// Watches one namespace until it is dropped.
pub struct Sight<'a> {
    target: &'a Target,
    namespace: &'a str,
    cluster: &'a str,
    children: Vec<Child>,
    send: Sender<Seen>,
    receive: Receiver<Seen>,
}

impl<'a> Sight<'a> {
    /// Starts watching objects of these kinds.
    pub fn open(target: &'a Target, namespace: &'a str, cluster: &'a str, kinds: &[&str]) -> Result<Self> {
        let (send, receive) = channel();
        let mut sight = Self { target, namespace, cluster, children: Vec::new(), send, receive };
        for kind in kinds {
            let mut command = sight.kubectl();
            command.args(["get", kind, "--watch", "--output=json"]);
            let output = sight.start(&mut command)?;
            let send = sight.send.clone();
            thread::spawn(move || {
                let objects = Deserializer::from_reader(BufReader::new(output)).into_iter::<Value>();
                for object in objects.map_while(Result::ok) {
                    send.send(Seen::Object(Instant::now(), Box::new(object))).ok();
                }
            });
        }
        Ok(sight)
    }

    /// Notes moments until all of `wanted` were seen.
    pub fn follow(&mut self, start: Instant, wanted: &[Moment], within: Duration) -> Result<Moments> {
        let mut moments = Moments::new();
        let mut primary = None;
        while !wanted.iter().all(|moment| moments.contains_key(moment)) {
            let left = within.saturating_sub(start.elapsed());
            let (when, proven) = match self.receive.recv_timeout(left) {
                Ok(Seen::Object(when, object)) => {
                    if primary.is_none() && moment::is_primary(&object) {
                        let pod = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                        self.ask(&pod)?;
                        primary = Some(pod);
                    }
                    (when, moment::of_object(&object))
                }
                Ok(Seen::Answer(when, line)) => (when, moment::of_answer(&line)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let missing: Vec<&str> =
                        wanted.iter().filter(|m| !moments.contains_key(m)).map(|m| m.words()).collect();
                    bail!("{} after {within:?} still not seen: {}", self.cluster, missing.join(", "));
                }
            };
            for moment in proven {
                moments.entry(moment).or_insert(when.duration_since(start));
            }
        }
        Ok(moments)
    }

    /// One session on the primary, begun again when it breaks: Patroni may restart
    /// the server in its first seconds.
    fn ask(&mut self, pod: &str) -> Result<()> {
        let script = format!(
            "while true; do echo \"{} \\\\watch 0.1\" | \
             psql --no-psqlrc --no-align --tuples-only --quiet --username=postgres --dbname=postgres; \
             sleep 0.1; done",
            moment::question(self.cluster)
        );
        let mut command = self.kubectl();
        command.args(["exec", pod, "--container=postgres", "--", "sh", "-c", &script]);
        let output = self.start(&mut command)?;
        let send = self.send.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                send.send(Seen::Answer(Instant::now(), line)).ok();
            }
        });
        Ok(())
    }

    fn kubectl(&self) -> Command {
        let mut command = self.target.kubectl();
        command.args(["--namespace", self.namespace]);
        command
    }

    fn start(&mut self, command: &mut Command) -> Result<ChildStdout> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().with_context(|| format!("cannot run {}", shell::describe(command)))?;
        let output = child.stdout.take().context("kubectl has no output")?;
        self.children.push(child);
        Ok(output)
    }
}

impl Drop for Sight<'_> {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
