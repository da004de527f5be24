//! Asks the API server for an object without keeping it: server-side dry run, with all admission.

use kube::Client;
use kube::api::{DynamicObject, PostParams};
use matriarch_cluster::Object;
use matriarch_plan::Trial;

use super::kubernetes::created;
use crate::access;
use crate::kinds;

/// Whether the first pod of a template would be accepted; the error is the API server's.
pub async fn accepted(client: &Client, trial: &Trial) -> Result<(), String> {
    match dry_run(client, &trial.pod).await {
        Ok(()) => Ok(()),
        Err(error) if cannot_create(&error) => {
            dry_run(client, &trial.stateful_set).await.or_else(|error| judge(trial, &error))
        }
        Err(error) => judge(trial, &error),
    }
}

/// What a refusal means.
fn judge(trial: &Trial, error: &kube::Error) -> Result<(), String> {
    match error {
        // A name that is taken, and a webhook that knows no dry run, say nothing about the template.
        kube::Error::Api(status) if status.is_already_exists() => Ok(()),
        kube::Error::Api(status) if status.message.contains("does not support dry run") => Ok(()),
        kube::Error::Api(status) if trial.fits_after_all(&status.message) => Ok(()),
        kube::Error::Api(status) => Err(status.message.clone()),
        error => Err(error.to_string()),
    }
}

/// The want of a right, as against an admission that forbids this pod.
fn cannot_create(error: &kube::Error) -> bool {
    access::is_missing_right(error)
        && matches!(error, kube::Error::Api(status) if status.message.contains("cannot create resource"))
}

async fn dry_run(client: &Client, object: &Object) -> kube::Result<()> {
    let api = kinds::namespaced(client, &object.kind, &object.namespace);
    let body: DynamicObject = serde_json::from_value(object.body.clone()).map_err(kube::Error::SerdeError)?;
    api.create(&PostParams { dry_run: true, ..created() }, &body).await.map(|_| ())
}
