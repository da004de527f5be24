//! Process 1 of the cluster's PID namespace: starts the rest and reaps orphans
//! (containers' shims leave their parents on purpose).

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::Pid;

/// Runs until `inside` ends. When this returns, the kernel kills all that is left.
pub fn init(state: &Path) -> Result<()> {
    let child = Command::new(std::env::current_exe()?)
        .arg("inside")
        .arg(state)
        .spawn()
        .context("cannot start the inner supervisor")?;
    let inside = Pid::from_raw(child.id().cast_signed());
    loop {
        match wait() {
            Ok(WaitStatus::Exited(process, _) | WaitStatus::Signaled(process, _, _)) if process == inside => {
                return Ok(());
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot wait for children"),
        }
    }
}
