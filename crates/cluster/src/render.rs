//! From a [`Cluster`] to an [`Intent`].

use matriarch_settings::Settings;

use crate::intent::{Intent, References};
use crate::validate::Cluster;

/// Renders everything that should exist for `cluster`, without references.
pub fn render(cluster: &Cluster, settings: &Settings) -> Intent {
    render_with(cluster, settings, &References::default())
}

/// Renders everything that should exist for `cluster`.
pub fn render_with(cluster: &Cluster, _settings: &Settings, _references: &References) -> Intent {
    Intent { identity: cluster.identity.clone(), ..Intent::default() }
}
