//! Many clusters without databases: the stand-in for Patroni and kubelets, the benchmark and the
//! runs that kill the operator at every request. `cargo xtask` starts it inside a world (see
//! `crates/xtask/src/world.rs`); with KUBECONFIG it takes any control plane without kubelets.
#![allow(clippy::print_stdout, reason = "this program talks to the person at the terminal")]

mod audit;
mod bench;
mod crash;
mod manifest;
mod operator;
mod stand_in;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use kube::config::{KubeConfigOptions, Kubeconfig};

/// Many clusters without databases.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measures the operator with many clusters.
    Bench(bench::Options),
    /// Kills the operator at its requests and looks at what becomes of it.
    Crash(crash::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    // One crypto provider in the whole process, chosen before the first connection.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("a crypto provider is installed already");
        return ExitCode::FAILURE;
    }
    let result = match Arguments::parse().task {
        Task::Bench(options) => bench::run(options).await,
        Task::Crash(options) => crash::run(options).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A client with the administrator's rights; its requests are not limited here.
async fn administrator(state: &std::path::Path) -> anyhow::Result<kube::Client> {
    let path = state.join("pki/admin.kubeconfig");
    let file = Kubeconfig::read_from(&path).with_context(|| format!("no world at {}", state.display()))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}
