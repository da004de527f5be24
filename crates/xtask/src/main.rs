//! What people type: `cargo xtask up`, `down`, `status`, `env`, `test`, `images`.
#![allow(clippy::print_stdout, reason = "this program talks to the person at the terminal")]

mod bench;
mod certificates;
mod cgroups;
mod checkout;
mod cluster;
mod crash;
mod demo;
mod deploy;
mod down;
mod env;
mod files;
mod go_build;
mod go_toolchain;
mod images;
mod import;
mod kubeconfig;
mod network;
mod node_link;
mod packages;
mod progress;
mod register;
mod shell;
mod status;
mod supervisor;
mod sweep;
mod target;
mod test;
mod up;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development of Matriarch: the local cluster, images, tests.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// From a bare machine to a queried database on a local Kubernetes.
    Up(up::Arguments),
    /// Ends this checkout's cluster and removes everything of it but what is cached.
    Down,
    /// Shows the cluster's parts and nodes.
    Status,
    /// Prints shell lines that set KUBECONFIG and PATH: eval "$(cargo xtask env)".
    Env,
    /// Runs all tests: the capability tests on a local cluster, which it brings up.
    Test(test::Arguments),
    /// Measures on the local cluster.
    #[command(subcommand)]
    Bench(bench::Arguments),
    /// Kills the operator at every request and looks at what another one makes of it.
    Crash(crash::Arguments),
    /// Builds the images.
    Images,
    /// Takes a node of the local cluster off its network, or puts it back.
    Node(node_link::Arguments),
    /// Imports docker-archive files into every node of the local cluster.
    #[command(hide = true)]
    Import {
        /// Archives.
        files: Vec<PathBuf>,
    },
    /// Gives an image of the local cluster's nodes one more name.
    #[command(hide = true)]
    Tag {
        /// A name that it has, in full: `localhost/matriarch/instance:dev`.
        image: String,
        /// The further name, in full.
        name: String,
    },
    /// Runs a program inside the namespaces of the local cluster.
    #[command(hide = true)]
    Enter {
        /// Program and arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        words: Vec<String>,
    },
    /// A control plane without kubelets in namespaces of its own, until standard input ends.
    #[command(hide = true)]
    World(world::Arguments),
    #[command(hide = true)]
    Supervise { state: PathBuf },
    #[command(hide = true)]
    Init { state: PathBuf },
    #[command(hide = true)]
    Inside { state: PathBuf },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match task {
        Task::Up(arguments) => up::up(&arguments).map(done),
        Task::Down => down::down().map(done),
        Task::Status => status::status().map(done),
        Task::Env => env::env().map(done),
        Task::Test(arguments) => test::test(&arguments),
        Task::Bench(arguments) => bench::bench(&arguments).map(done),
        Task::Crash(arguments) => crash::crash(&arguments).map(done),
        Task::Images => images::run().map(done),
        Task::Node(arguments) => node_link::node(&arguments).map(done),
        Task::Import { files } => import::files(&files).map(done),
        Task::Tag { image, name } => import::tag(&image, &name).map(done),
        Task::Enter { words } => import::enter(&words),
        Task::World(arguments) => world::world(&arguments).map(done),
        Task::Supervise { state } => supervisor::outer(&state).map(done),
        Task::Init { state } => supervisor::init(&state).map(done),
        Task::Inside { state } => supervisor::inside(&state).map(done),
    }
}
