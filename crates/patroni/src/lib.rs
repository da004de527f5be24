//! Client of Patroni's REST interface, as an operator uses it (Patroni 3.0 to 4.1).
//!
//! Unknown fields in answers are ignored, and the read endpoints' habit of answering 503
//! with a good body is known. A base URL is that of one member: `http://10.1.2.3:8008`.

mod client;
mod error;
mod view;

pub use client::{Client, Restart};
pub use error::Error;
pub use view::{ClusterView, Lag, Member, Status};
