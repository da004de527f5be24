//! The `matriarch` binary: the operator, and what can be asked without it.
#![allow(clippy::print_stdout)] // plan, crds and their like answer on standard output

mod access;
mod act;
mod api;
mod arguments;
mod cache;
mod commands;
mod controller;
mod controller_id;
mod events;
mod farewells;
mod http;
mod kinds;
mod lease;
mod logging;
mod metrics;
mod namespaces;
mod nodes;
mod observe;
mod orphans;
mod pass;
mod plain;
mod queue;
mod reads;
mod recent;
mod registration;
mod report;
mod requests;
mod said;
mod settings_change;
mod settings_source;
mod turn;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Peaks are short and come from a few passes at a time: what they took goes back. Its options are
/// in `.cargo/config.toml`. Profilers of memory see only the system's: feature `system-allocator`.
#[cfg(not(feature = "system-allocator"))]
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Highly available PostgreSQL clusters on Kubernetes, from manifests.
#[derive(Parser)]
#[command(name = "matriarch", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator, in a cluster or outside with KUBECONFIG.
    Operator(controller::Options),
    /// Print what would happen for a manifest, without doing it.
    Plan(commands::plan::Options),
    /// Remove a cluster whose manifest is gone; without --yes, print what would be removed.
    RemoveOrphan(commands::remove_orphan::Options),
    /// Print every object of a manifest, without a cluster.
    Render(commands::render::Options),
    /// Print the custom resource definitions, ready for `kubectl apply -f -`.
    Crds,
}

#[tokio::main]
async fn main() -> ExitCode {
    // One crypto provider in the whole process, chosen before the first connection.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("matriarch: a crypto provider is installed already");
        return ExitCode::FAILURE;
    }
    let result = match Arguments::parse_from(arguments::normalised(std::env::args())).command {
        Command::Operator(options) => controller::run(options).await.map(|()| ExitCode::SUCCESS),
        Command::Plan(options) => commands::plan::run(&options).await,
        Command::RemoveOrphan(options) => commands::remove_orphan::run(&options).await,
        Command::Render(options) => commands::render::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Crds => commands::crds::run().map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("matriarch: {}", plain::plain(error.as_ref()));
        ExitCode::FAILURE
    })
}
