//! The paths of the image's contract with its users.

use std::path::PathBuf;

use crate::environment::Environment;

/// Where things are in the container and on its volume.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Folder on the volume that holds everything of the database.
    pub root: PathBuf,
    /// PostgreSQL's data directory.
    pub data: PathBuf,
    /// PostgreSQL's logs.
    pub log: PathBuf,
    /// Everything writable outside the volume.
    pub run: PathBuf,
    /// Home of user `postgres`.
    pub home: PathBuf,
}

impl Layout {
    /// The paths that the environment names, with the contract's defaults.
    #[must_use]
    pub fn of(env: &Environment) -> Self {
        let root = PathBuf::from(env.or("PGROOT", "/home/postgres/pgdata/pgroot"));
        Self {
            data: env.get("PGDATA").map_or_else(|| root.join("data"), PathBuf::from),
            log: env.get("PGLOG").map_or_else(|| root.join("pg_log"), PathBuf::from),
            run: PathBuf::from(env.or("RW_DIR", "/run")),
            home: PathBuf::from(env.or("PGHOME", "/home/postgres")),
            root,
        }
    }

    /// Patroni's configuration file.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.run.join("postgres.yml")
    }

    /// Folder of the sockets and of Patroni's password file.
    #[must_use]
    pub fn sockets(&self) -> PathBuf {
        self.run.join("postgresql")
    }

    /// Folder of certificates that came as text or were made here.
    #[must_use]
    pub fn certificates(&self) -> PathBuf {
        self.run.join("certs")
    }
}
