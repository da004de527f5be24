//! The supervisor in the host's namespaces.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::diary::note;
use super::forwarder;
use crate::checkout::Checkout;
use crate::cluster::Cluster;
use crate::register::{self, Entry, Owner};
use crate::{files, sweep};

/// Starts the supervisor from a copy of this program in a session of its own, so that it outlives the terminal.
pub fn start(checkout: &Checkout) -> Result<()> {
    let state = checkout.state();
    let program = state.join("parts/supervisor");
    files::copy_this_program(&program)?;
    fs::create_dir_all(checkout.logs())?;
    let path = checkout.logs().join("supervisor.log");
    // The last run's stays readable.
    fs::rename(&path, path.with_extension("log.1")).ok();
    let log = File::options().create(true).append(true).open(path)?;
    Command::new("setsid")
        .arg(&program)
        .args(["supervise"])
        .arg(&state)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start the supervisor")?;
    Ok(())
}

/// Runs until the cluster ends or its state directory is gone.
pub fn outer(state: &Path) -> Result<()> {
    let cluster = Cluster::read(state)?.context("no cluster.json in the state directory")?;
    let Some(mut entry) = Entry::take(&cluster.id)? else {
        bail!("another supervisor runs this cluster already");
    };
    let mut owner = Owner {
        process: std::process::id().cast_signed(),
        namespaces: 0,
        state: state.to_path_buf(),
        inode: register::inode(state),
    };
    entry.sign(&owner)?;
    sweep::own(&cluster.id)?;
    sweep::orphans()?;
    raise_inotify_limit();
    let listener = TcpListener::bind(("127.0.0.1", cluster.port)).with_context(|| {
        format!("port {} of 127.0.0.1 was taken meanwhile: run `cargo xtask up` again", cluster.port)
    })?;
    let mut namespaces = unshare(state)?;
    owner.namespaces = namespaces.id().cast_signed();
    entry.sign(&owner)?;
    forwarder::start(listener, namespaces.id());
    let ended = wait(&mut namespaces, &owner);
    // Not reached when this process is killed: then `down` or the next sweep does it.
    sweep::own(&cluster.id)?;
    entry.remove()?;
    ended
}

/// Process 1 of the new PID namespace reads the pipe that this process holds.
fn unshare(state: &Path) -> Result<Child> {
    Command::new("unshare")
        .args(["--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"])
        .arg(program()?)
        .arg("init")
        .arg(state)
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot run unshare: the local cluster needs root and the package util-linux")
}

fn program() -> Result<PathBuf> {
    Ok(std::env::current_exe()?)
}

fn wait(namespaces: &mut Child, owner: &Owner) -> Result<()> {
    loop {
        if let Some(status) = namespaces.try_wait()? {
            bail!("the cluster's process 1 ended with {status}");
        }
        if register::inode(&owner.state) != owner.inode {
            note("the state directory is gone, ending");
            namespaces.kill()?;
            namespaces.wait()?;
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Kubelets and containerds need about 50 instances each; 128 is a common default.
fn raise_inotify_limit() {
    const LIMIT: &str = "/proc/sys/fs/inotify/max_user_instances";
    const WANTED: u64 = 1024;
    let now = fs::read_to_string(LIMIT).ok().and_then(|text| text.trim().parse::<u64>().ok());
    if now.is_some_and(|now| now < WANTED) && fs::write(LIMIT, WANTED.to_string()).is_ok() {
        note(&format!("raised {LIMIT} to {WANTED}"));
    }
}
