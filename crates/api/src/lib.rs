//! The three custom resources of the contract: `postgresql`, `OperatorConfiguration` and
//! `PostgresTeam`. Types, their schemas and lenient decoding. Pure: nothing here does I/O.

mod crd;
mod decode;
mod judge;
mod problem;
pub mod rules;
mod schema;
mod spec;
mod status;
mod team;

pub use crd::{API_GROUP, API_VERSION, KIND, crd_postgresql, crds};
pub use decode::{Decoded, decode};
pub use problem::Problem;
pub use spec::{
    AdditionalVolume, CloneSource, ConnectionPooler, Fragment, Patroni, PostgresParameters, Postgresql,
    PostgresqlSpec, PreparedDatabase, PreparedSchema, ResourceValues, Resources, Sidecar, StandbySource,
    Stream, StreamTable, Tls, Volume,
};
pub use status::{Condition, PostgresqlStatus};
pub use team::{PostgresTeam, PostgresTeamSpec};
