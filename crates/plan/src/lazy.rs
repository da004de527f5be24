//! Lazy upgrades of the database image: the StatefulSet gets the new image, and pods get it when
//! something else makes them anew.

use matriarch_cluster::Intent;

/// Whether the field at `path`, of a StatefulSet or of a pod template, is the database's image and
/// may wait.
pub(crate) fn may_wait(intent: &Intent, path: &str) -> bool {
    intent.lazy_image && path.ends_with("spec.containers[postgres].image")
}
