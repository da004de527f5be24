//! Connections to a cluster's PostgreSQL: reads its catalog and runs the statements that
//! `matriarch-sql` planned. One short-lived connection per pass and database; no pool.

mod connection;
mod error;
mod read;
mod tls;

pub use connection::{Connection, Target, TlsMode, connect};
pub use error::{Category, Error};
