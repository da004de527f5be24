//! Budgets where they may not be changed: the original's ClusterRole lets its operator create and
//! delete them only, so they are made anew. Nothing restarts for it.

use kube::Client;
use kube::api::{DeleteParams, DynamicObject, Preconditions};
use matriarch_plan::{ObjectPlace, Outcome};
use serde_json::Value;

use super::kubernetes::{created, written};
use crate::access::is_missing_right;
use crate::kinds;

/// Whether a change was refused that can be made in this way.
pub fn is_needed<T>(kind: &str, result: &kube::Result<T>) -> bool {
    kind == "PodDisruptionBudget" && result.as_ref().is_err_and(is_missing_right)
}

/// Deletes the object, if it is there, and creates it with this body, or with what it had.
pub async fn make(client: &Client, place: &ObjectPlace, body: Option<&Value>) -> Outcome {
    written(try_make(client, place, body).await)
}

async fn try_make(client: &Client, place: &ObjectPlace, body: Option<&Value>) -> kube::Result<()> {
    let api = kinds::namespaced(client, &place.kind, &place.namespace);
    let live = api.get_opt(&place.name).await?;
    let mut new: DynamicObject = match (body, &live) {
        (Some(body), _) => serde_json::from_value(body.clone()).map_err(kube::Error::SerdeError)?,
        (None, Some(live)) => live.clone(),
        (None, None) => return Ok(()),
    };
    if let Some(live) = live {
        let preconditions = Preconditions { uid: live.metadata.uid, ..Preconditions::default() };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        api.delete(&place.name, &parameters).await?;
    }
    new.metadata.uid = None;
    new.metadata.resource_version = None;
    new.metadata.managed_fields = None;
    new.metadata.creation_timestamp = None;
    new.metadata.generation = None;
    if let Some(data) = new.data.as_object_mut() {
        data.remove("status");
    }
    api.create(&created(), &new).await.map(|_| ())
}
