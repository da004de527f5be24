//! Asks the API server for an object without keeping it: server-side dry run, with all admission.

use kube::Client;
use kube::api::{DynamicObject, PostParams};
use matriarch_cluster::Object;
use matriarch_plan::Trial;

use super::kubernetes::created;
use crate::access;
use crate::kinds;
use crate::plain::plain;

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
        error => Err(plain(error)),
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

#[cfg(test)]
mod tests {
    use matriarch_plan::Trial;
    use serde_json::json;

    use super::*;

    fn refused(message: &str, reason: &str, code: u16) -> kube::Error {
        kube::Error::Api(kube::core::Status::failure(message, reason).with_code(code).boxed())
    }

    /// What the API server says, whether the right is missing, and whether a pod may be deleted.
    #[test]
    fn only_a_refusal_of_the_template_keeps_the_pod() {
        let trial = Trial::of(&json!({}), "a-0", json!({}));
        let full = "pods \"a-trial\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3";
        let rows = [
            ("Pod \"a-trial\" is invalid: spec.containers[0].resources", "Invalid", 422, false, false),
            ("admission webhook \"policy\" denied the request: no", "Forbidden", 403, false, false),
            (
                "pods \"a-trial\" is forbidden: violates PodSecurity \"restricted\"",
                "Forbidden",
                403,
                false,
                false,
            ),
            (full, "Forbidden", 403, false, true),
            (
                "pods is forbidden: User \"u\" cannot create resource \"pods\" in API group \"\"",
                "Forbidden",
                403,
                true,
                false,
            ),
            ("pods \"a-trial\" already exists", "AlreadyExists", 409, false, true),
            ("admission webhook \"old\" does not support dry run", "BadRequest", 400, false, true),
        ];
        for (message, reason, code, is_right, accepted) in rows {
            let error = refused(message, reason, code);
            assert_eq!(cannot_create(&error), is_right, "{message}");
            let judged = judge(&trial, &error);
            assert_eq!(judged.is_ok(), accepted, "{message}");
            assert!(judged.err().is_none_or(|why| why == message), "{message}");
        }
    }
}
