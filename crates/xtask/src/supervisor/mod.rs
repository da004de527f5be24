//! The one process tree of a cluster on its host.
//!
//! `outer` stays in the host's namespaces: it holds the entry in the register and
//! forwards one loopback port. Its child `unshare` holds the private namespaces;
//! in them process 1 (`init`) reaps, and `inside` starts and watches the parts.
//! Each ends when the one above it ends, however that happened: `inside` reads
//! end-of-file from its standard input when `outer` is gone, `init` leaves with
//! `inside`, and with process 1 the kernel takes everything else down.

mod control_plane;
mod diary;
mod dns;
mod forwarder;
mod init;
mod inside;
mod mounts;
mod node;
mod outer;
mod part;
mod provisioner;
pub mod status;
pub mod world;

pub use init::init;
pub use inside::inside;
pub use outer::{outer, start};
