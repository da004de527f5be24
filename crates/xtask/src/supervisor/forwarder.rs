//! One loopback port of the host leads to the API server inside.

use std::fs::File;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use nix::sched::{CloneFlags, setns};

use super::diary::note;
use crate::network::API_PORT;

/// Accepts in the host's network namespace and connects in that of `process`.
pub fn start(listener: TcpListener, process: u32) {
    let (accepted, waiting) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if accepted.send(stream).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        if let Err(error) = connect(process, &waiting) {
            note(&format!("the forwarder ended: {error}"));
        }
    });
}

/// Only this thread changes its network namespace; the sockets it makes belong
/// there and can be used from any thread.
fn connect(process: u32, waiting: &Receiver<TcpStream>) -> io::Result<()> {
    let own = File::open("/proc/self/ns/net")?;
    enter(process, &own)?;
    for client in waiting {
        // Refused while the API server starts: the client sees a closed connection.
        let Ok(server) = TcpStream::connect(("127.0.0.1", API_PORT)) else { continue };
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        copy(client.try_clone()?, server.try_clone()?);
        copy(server, client);
    }
    Ok(())
}

/// `unshare` makes the namespace a moment after its start: wait until it differs.
fn enter(process: u32, own: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    loop {
        let namespace = File::open(format!("/proc/{process}/ns/net"))?;
        if namespace.metadata()?.ino() != own.metadata()?.ino() {
            return setns(namespace, CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
        }
        thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
        from.shutdown(Shutdown::Read).ok();
    });
}
