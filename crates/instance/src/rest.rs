//! The few requests that this program makes to Patroni's REST interface, by hand: Patroni speaks HTTP/1.0 and
//! closes after each answer.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Longest wait for a connection and for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any configuration; an answer beyond it is cut.
const LONGEST_ANSWER: u64 = 1 << 20;

/// Sends one request and returns the body of the answer.
///
/// # Errors
/// When Patroni cannot be reached or answers with anything but success.
pub fn request(host: &str, port: &str, method: &str, path: &str, body: &str) -> Result<String> {
    let address = format!("{host}:{port}");
    let first = address.to_socket_addrs().with_context(|| format!("{address} is no address"))?.next();
    let first = first.with_context(|| format!("{address} has no address"))?;
    let mut stream = TcpStream::connect_timeout(&first, PATIENCE).context("cannot reach Patroni")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).context("Patroni did not answer")?;
    let status = answer.split_whitespace().nth(1).unwrap_or_default();
    ensure!(["200", "202"].contains(&status), "Patroni answered {status}");
    Ok(answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned()))
}

/// Makes the leader look at its members now instead of at the end of its loop, by merging a value into its
/// configuration that is there already: so that it makes a slot for a member that it has not seen yet.
///
/// # Errors
/// As [`request`]; then the leader looks by itself within its loop (10 s).
pub fn wake_leader(host: &str, port: &str) -> Result<()> {
    let config: Value =
        serde_json::from_str(&request(host, port, "GET", "/config", "")?).context("not JSON")?;
    // Patroni's own default stands where nothing is set.
    let loop_wait = config["loop_wait"].as_u64().unwrap_or(10);
    request(host, port, "PATCH", "/config", &json!({ "loop_wait": loop_wait }).to_string()).map(drop)
}

/// Host of a connection string in either of libpq's forms.
pub fn host_of(connection: &str) -> Option<&str> {
    if let Some((_, rest)) = connection.split_once("://") {
        let authority = rest.split(['/', '?']).next()?;
        let address = authority.rsplit('@').next()?;
        return Some(address.rsplit_once(':').map_or(address, |(host, _)| host))
            .filter(|host| !host.is_empty());
    }
    connection.split_whitespace().find_map(|pair| pair.strip_prefix("host="))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test stops at the first surprise
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn hosts_of_both_forms() {
        for (connection, host) in [
            ("postgres://10.1.2.3:5432/postgres", Some("10.1.2.3")),
            ("postgres://standby@10.1.2.3:5432/postgres?sslmode=prefer", Some("10.1.2.3")),
            ("user=standby host=10.1.2.3 port=5432", Some("10.1.2.3")),
            ("dbname=postgres", None),
        ] {
            assert_eq!(host_of(connection), host, "{connection}");
        }
    }

    #[test]
    fn waking_sends_back_the_value_that_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let server = std::thread::spawn(move || {
            let mut seen = Vec::new();
            for body in [r#"{"loop_wait": 7}"#, "{}"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut buffer = [0; 4096];
                let mut text = String::new();
                // Headers and body may come in two pieces.
                while !text.contains("\r\n\r\n") || (text.starts_with("PATCH") && !text.ends_with('}')) {
                    let read = stream.read(&mut buffer).unwrap();
                    text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
                }
                seen.push(text);
                write!(stream, "HTTP/1.0 200 OK\r\n\r\n{body}").unwrap();
            }
            seen
        });
        wake_leader("127.0.0.1", &port).unwrap();
        let seen = server.join().unwrap();
        assert!(seen[0].starts_with("GET /config"), "{seen:?}");
        assert!(seen[1].starts_with("PATCH /config") && seen[1].ends_with(r#"{"loop_wait":7}"#), "{seen:?}");
    }
}
