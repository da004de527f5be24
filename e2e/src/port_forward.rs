//! `kubectl port-forward`, for as long as the test needs it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;

use anyhow::{Context, Result, bail};

use crate::kubectl::{Background, Kubectl};

/// A way to a pod's port from this machine; ends when dropped.
pub struct PortForward {
    _process: Background,
    /// The local port.
    pub port: u16,
}

impl PortForward {
    /// `kubectl port-forward TARGET LOCAL:REMOTE`; returns once it forwards. The local
    /// port is the wanted one, or a free one when that is taken.
    ///
    /// # Errors
    /// When `kubectl` ends instead; with its words.
    pub fn open(kubectl: &Kubectl, target: &str, wanted: u16, remote: u16) -> Result<Self> {
        let port = free_port(wanted)?;
        let mut child = kubectl.spawn(&["port-forward", target, &format!("{port}:{remote}")])?;
        let output = child.stdout.take().context("no output")?;
        let errors = child.stderr.take().context("no errors")?;
        let process = Background(child);
        let mut lines = BufReader::new(output);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        if !line.starts_with("Forwarding from") {
            let mut said = String::new();
            BufReader::new(errors).read_line(&mut said)?;
            bail!("kubectl port-forward {target}: {line}{said}");
        }
        // Each connection prints a line: read on, or the pipe fills.
        std::thread::spawn(move || lines.lines().for_each(drop));
        Ok(Self { _process: process, port })
    }
}

fn free_port(wanted: u16) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", wanted)).or_else(|_| TcpListener::bind("127.0.0.1:0"))?;
    Ok(listener.local_addr()?.port())
}
