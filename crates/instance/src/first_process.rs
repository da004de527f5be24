//! The container's first process: passes signals on to Patroni and reaps what others leave.
//!
//! The kernel drops a signal for a first process that has no handler for it. Patroni installs its handlers only
//! after its interpreter has started, so a pod that was deleted within that second would run on for its whole
//! grace period. Here signals are held back from the first instruction on and none is lost.
//!
//! In the second after that, while Patroni is being set up, a request to end takes its main thread out but not
//! the threads that it has begun (4.1.5), and a second request changes nothing. So whoever was asked to end and
//! has nothing left to look after is ended.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;
use std::{fs, io, process, thread};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

const PATRONI: &str = "/opt/patroni/bin/patroni";

/// So long Patroni may take to end when nothing but itself runs any more, in seconds: longer than it tries to
/// give its lock back (`retry_timeout`).
const ALONE_SECONDS: u32 = 15;

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
    let mut ends = false;
    loop {
        match signals.wait().context("cannot wait for signals")? {
            Signal::SIGCHLD => {
                if let Some(status) = reap(pid) {
                    return Ok(status);
                }
            }
            // It may have ended a moment ago; then SIGCHLD is on its way.
            signal => {
                match kill(pid, signal) {
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(error) => eprintln!("matriarch-instance: cannot pass {signal} on: {error}"),
                }
                if signal == Signal::SIGTERM && !ends {
                    ends = true;
                    thread::spawn(move || end_if_held(pid));
                }
            }
        }
    }
}

/// Kills Patroni when it was asked to end, does not, and nothing else runs here: no PostgreSQL, no `initdb`,
/// nobody's shell.
fn end_if_held(patroni: Pid) {
    let mut alone = 0;
    while alone < ALONE_SECONDS {
        thread::sleep(Duration::from_secs(1));
        alone = if is_alone(patroni, Path::new("/proc")).unwrap_or(false) { alone + 1 } else { 0 };
    }
    eprintln!("matriarch-instance: Patroni does not end, and nothing runs beside it: it is killed");
    // It may have ended in this moment, and this process with it.
    let _ = kill(patroni, Signal::SIGKILL);
}

/// Whether no process runs beside Patroni and this program's own.
fn is_alone(patroni: Pid, processes: &Path) -> io::Result<bool> {
    let own = fs::read_to_string(processes.join(process::id().to_string()).join("comm"))?;
    for entry in fs::read_dir(processes)? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if pid == patroni.as_raw() {
            continue;
        }
        match fs::read_to_string(entry.path().join("comm")) {
            Ok(name) if name == own => {}
            Ok(_) => return Ok(false),
            // It has ended meanwhile.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    || error.raw_os_error() == Some(Errno::ESRCH as i32) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A `/proc` with these processes, and this one.
    fn with(name: &str, others: &[(i32, &str)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("first-process-{}-{name}", process::id()));
        let own = i32::try_from(process::id()).expect("a pid");
        fs::create_dir_all(folder.join("self")).expect("made");
        for (pid, name) in others.iter().copied().chain([(own, "matriarch-insta")]) {
            let place = folder.join(pid.to_string());
            fs::create_dir(&place).expect("made");
            fs::write(place.join("comm"), format!("{name}\n")).expect("written");
        }
        folder
    }

    /// A pod that was deleted while Patroni was being set up ran on for its whole grace period.
    #[test]
    fn patroni_alone_has_nothing_left_to_look_after() {
        let alone = |other: &str| {
            let folder = with(other, &[(9_000_001, "patroni"), (9_000_002, other)]);
            let alone = is_alone(Pid::from_raw(9_000_001), &folder).expect("readable");
            fs::remove_dir_all(folder).expect("removed");
            alone
        };
        assert!(alone("matriarch-insta"));
        for other in ["postgres", "initdb", "bash"] {
            assert!(!alone(other), "{other}");
        }
        assert!(is_alone(Pid::from_raw(1), Path::new("/nowhere")).is_err(), "nobody is killed on a guess");
    }
}
