//! What the capability tests share: `kubectl` and `psql` as a person types them, waits
//! that say what was seen last, and a namespace per test.
//!
//! The tests run only with `MATRIARCH_E2E=1`, against the cluster that `KUBECONFIG` names;
//! without it each prints that it was left out and why. `cargo xtask test` sets both.
//! `MATRIARCH_E2E_KEEP=1` keeps the namespaces of tests that failed.

#![allow(clippy::print_stdout, reason = "tests report to the person who runs them")]

pub mod api_server;
pub mod cluster;
pub mod kubectl;
pub mod node;
pub mod operator;
pub mod own_operator;
pub mod port_forward;
pub mod psql;
pub mod recording;
pub mod scene;
pub mod settings;
pub mod wait;
pub mod writer;

pub use cluster::{Cluster, Pod};
pub use kubectl::Kubectl;
pub use own_operator::OwnOperator;
pub use psql::ClientPod;
pub use scene::Scene;
pub use wait::{Look, wait_until};

/// The instance image of the local cluster; it has `psql`, so it serves as a client too.
pub const INSTANCE_IMAGE: &str = "localhost/matriarch/instance:dev";
