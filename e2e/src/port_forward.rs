//! `kubectl port-forward`, for as long as the test needs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

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

/// Status and body of an HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl PortForward {
    /// `GET path` without encryption; up to three redirects on the same server are followed.
    ///
    /// # Errors
    /// When the server cannot be reached, or answers with something else than HTTP.
    pub fn get(&self, path: &str) -> Result<Answer> {
        let mut path = path.to_owned();
        for _ in 0..3 {
            let (answer, location) = self.exchange("GET", &path, "")?;
            match location {
                Some(next) if (300..400).contains(&answer.status) => path = next,
                _ => return Ok(answer),
            }
        }
        bail!("{path}: redirected too often")
    }

    /// A request with a JSON body.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        Ok(self.exchange(method, path, &body.to_string())?.0)
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> Result<(Answer, Option<String>)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
        let location = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
        });
        Ok((Answer { status: status.context("no HTTP status")?, body: body.to_owned() }, location))
    }
}

fn free_port(wanted: u16) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", wanted)).or_else(|_| TcpListener::bind("127.0.0.1:0"))?;
    Ok(listener.local_addr()?.port())
}
