//! The container's first process: passes signals on to Patroni and reaps what others leave.
//!
//! The kernel drops a signal for a first process that has no handler for it. Patroni installs its handlers only
//! after its interpreter has started, so a pod that was deleted within that second would run on for its whole
//! grace period. Here signals are held back from the first instruction on and none is lost.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

const PATRONI: &str = "/opt/patroni/bin/patroni";

/// Signals that mean something to Patroni (stop, reload), and the one that tells of ended children.
const HELD: [Signal; 7] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCHLD,
];

fn held() -> SigSet {
    HELD.into_iter().collect()
}

/// Holds signals back from now on: those that arrive wait until [`watch_over`] takes them.
///
/// # Errors
/// When the kernel refuses.
pub fn hold_signals() -> Result<()> {
    held().thread_block().context("cannot hold signals back")
}

/// Becomes Patroni, with signals as any program expects them (called in the child).
///
/// # Errors
/// Returns only when Patroni cannot be started.
pub fn become_patroni(configuration: &Path) -> Result<()> {
    held().thread_unblock().context("cannot let signals through")?;
    let error = Command::new(PATRONI).arg(configuration).exec();
    Err(error).with_context(|| format!("cannot start {PATRONI}"))
}

/// Passes signals on to `patroni` and reaps children until it ends; returns its exit status, as a shell counts it.
///
/// # Errors
/// When the kernel refuses to wait for signals.
pub fn watch_over(patroni: &Child) -> Result<i32> {
    let pid = Pid::from_raw(i32::try_from(patroni.id()).context("a process id is out of range")?);
    let signals = held();
    loop {
        match signals.wait().context("cannot wait for signals")? {
            Signal::SIGCHLD => {
                if let Some(status) = reap(pid) {
                    return Ok(status);
                }
            }
            // It may have ended a moment ago; then SIGCHLD is on its way.
            signal => match kill(pid, signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => eprintln!("matriarch-instance: cannot pass {signal} on: {error}"),
            },
        }
    }
}

/// Reaps all that ended; the status of Patroni, if it is among them.
fn reap(patroni: Pid) -> Option<i32> {
    let mut ended = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == patroni => ended = Some(status),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == patroni => ended = Some(128 + signal as i32),
            Ok(WaitStatus::StillAlive) | Err(_) => return ended,
            Ok(_) => {}
        }
    }
}
