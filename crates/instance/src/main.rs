//! Entry point of the database image: reads the environment that operators of Spilo images emit, refuses what
//! this image cannot do, writes Patroni's configuration and runs Patroni.

mod base_backup;
mod certificates;
mod configuration;
mod environment;
mod first_process;
mod hba;
mod initdb;
mod kubernetes;
mod layout;
mod machine;
mod merge;
mod post_init;
mod prepare;
mod refusal;
mod rest;
mod start;
mod tls;
mod version;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Starts a member of a PostgreSQL cluster, from the container's environment.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Start Patroni and PostgreSQL (what the container does without arguments)
    Run,
    /// Print Patroni's configuration for this environment, passwords included, and start nothing
    Configure,
    /// Create the roles and extensions of a new cluster (called by Patroni)
    PostInit {
        /// Role of people who log in through PAM
        human_role: String,
        /// Connection string of the superuser
        connection: String,
    },
    /// Bring the roles and extensions up to date after a promotion (called by Patroni)
    RoleChange {
        /// Role of people who log in through PAM
        human_role: String,
        /// What Patroni reports: always `on_role_change`
        event: String,
        /// The new role of this member
        role: String,
        /// Name of the cluster
        scope: String,
    },
    /// Copy the data of the primary (called by Patroni)
    BaseBackup(base_backup::Arguments),
    /// Become Patroni (started by `run`)
    Patroni {
        /// Patroni's configuration
        configuration: PathBuf,
    },
    /// Tell Patroni to reload whenever the files of the certificate change (started by `run`)
    WatchCertificates,
}

fn main() -> Result<()> {
    match Arguments::parse().command.unwrap_or(Command::Run) {
        Command::Run => start::run(),
        Command::Configure => start::print(),
        Command::PostInit { human_role, connection } => post_init::run(&human_role, &connection),
        Command::RoleChange { human_role, event: _, role, scope: _ } => {
            post_init::after_role_change(&human_role, &role)
        }
        Command::BaseBackup(arguments) => base_backup::run(&arguments),
        Command::Patroni { configuration } => first_process::become_patroni(&configuration),
        Command::WatchCertificates => certificates::watch(),
    }
}
