//! Writes to the API server. Applies are server-side with our field manager; deletions
//! carry the uid that was seen, so that nothing else can be hit.

use kube::Client;
use kube::api::{
    DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use matriarch_cluster::names::FINALIZER;
use matriarch_cluster::{CredentialSecret, Intent, Object};
use matriarch_plan::ownership::FIELD_MANAGER;
use matriarch_plan::{ObjectPlace, Outcome};
use serde_json::{Value, json};

use super::anew;
use crate::kinds;
use crate::observe::passwords;
use crate::plain::plain;

/// Field manager of metadata on objects that others write too.
const META_MANAGER: &str = "matriarch-meta";

/// Server-side apply; we own what we send. The named lists of `spec` are set as a whole
/// before, so that no item of somebody else's survives the merge.
pub async fn apply(client: &Client, object: &Object, whole_lists: &[String]) -> Outcome {
    let api = kinds::namespaced(client, &object.kind, &object.namespace);
    if !whole_lists.is_empty() {
        let lists: serde_json::Map<String, Value> =
            whole_lists.iter().map(|list| (list.clone(), object.body["spec"][list].clone())).collect();
        let parameters = PatchParams::apply(FIELD_MANAGER);
        let patch = Patch::Merge(json!({ "spec": lists }));
        if let Err(error) = api.patch(&object.name, &parameters, &patch).await {
            return written::<()>(Err(error));
        }
    }
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let applied = api.patch(&object.name, &parameters, &Patch::Apply(&object.applied())).await;
    if anew::is_needed(&object.kind, &applied) {
        return anew::make(client, &ObjectPlace::of(object), Some(&object.body)).await;
    }
    written(applied)
}

/// Puts other owners to the fields of an object, if it is still as it was seen. Nothing else of
/// it changes.
pub async fn adopt(client: &Client, place: &ObjectPlace, resource_version: &str, fields: &Value) -> Outcome {
    let api = kinds::namespaced(client, &place.kind, &place.namespace);
    let patch = json!({"metadata": {"resourceVersion": resource_version, "managedFields": fields}});
    let parameters = PatchParams::apply(META_MANAGER);
    let adopted = api.patch(&place.name, &parameters, &Patch::Merge(&patch)).await;
    if anew::is_needed(&place.kind, &adopted) {
        return anew::make(client, place, None).await;
    }
    written(adopted)
}

/// Merges into the metadata of the object of this uid.
pub async fn patch_metadata(client: &Client, place: &ObjectPlace, uid: &str, metadata: &Value) -> Outcome {
    let api = kinds::namespaced(client, &place.kind, &place.namespace);
    let mut metadata = metadata.clone();
    metadata["uid"] = json!(uid);
    let parameters = PatchParams::apply(META_MANAGER);
    written(api.patch(&place.name, &parameters, &Patch::Merge(&json!({"metadata": metadata}))).await)
}

/// Deletes a StatefulSet without its pods, after the API server has accepted the new one without
/// keeping it. That one is made when the old one is gone.
pub async fn replace_stateful_set(client: &Client, object: &Object, uid: &str) -> Outcome {
    let api = kinds::namespaced(client, &object.kind, &object.namespace);
    let mut trial = object.body.clone();
    // Under a name of its own: the old one still has the real one.
    trial["metadata"]["generateName"] = json!(format!("{}-", object.name));
    if let Some(metadata) = trial["metadata"].as_object_mut() {
        metadata.remove("name");
    }
    let parameters = PostParams { dry_run: true, ..created() };
    match serde_json::from_value::<DynamicObject>(trial) {
        Err(error) => return Outcome::Failed(plain(&error)),
        Ok(trial) => {
            if let Err(error) = api.create(&parameters, &trial).await {
                return Outcome::Failed(format!(
                    "the new one is refused, the old one stays: {}",
                    plain(&error)
                ));
            }
        }
    }
    remove(client, &ObjectPlace::of(object), uid, PropagationPolicy::Orphan).await
}

/// Writes a pooler's user list with this content.
pub async fn write_user_list(client: &Client, object: &Object, content: &str) -> Outcome {
    let mut body = object.body.clone();
    body["stringData"] = json!({ passwords::USER_LIST: content });
    let object = Object { body, ..object.clone() };
    apply(client, &object, &[]).await
}

/// Puts a password into a credentials Secret that exists.
pub async fn set_password(client: &Client, object: &Object, password: &str) -> Outcome {
    let api = kinds::namespaced(client, "Secret", &object.namespace);
    let parameters = PatchParams::apply(FIELD_MANAGER);
    let patch = Patch::Merge(json!({"stringData": {"password": password}}));
    written(api.patch(&object.name, &parameters, &patch).await)
}

/// Creates an object that nobody may overwrite; that it exists already is fine.
pub async fn create(client: &Client, object: &Object, body: &Value) -> Outcome {
    let api = kinds::namespaced(client, &object.kind, &object.namespace);
    let parameters = created();
    let typed: DynamicObject = match serde_json::from_value(body.clone()) {
        Ok(typed) => typed,
        Err(error) => return Outcome::Failed(plain(&error)),
    };
    match api.create(&parameters, &typed).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            Outcome::Outdated("it exists already".to_owned())
        }
        result => written(result),
    }
}

/// Creates a credentials Secret with this password.
pub async fn create_secret(client: &Client, secret: &CredentialSecret, password: &str) -> Outcome {
    let object = &secret.object;
    let mut body = object.body.clone();
    body["stringData"] = json!({"username": secret.username, "password": password});
    // If somebody was faster, their password is the source of truth (03 §8.1).
    create(client, object, &body).await
}

/// Deletes the object of this uid with what belongs to it; that it is gone already is fine.
pub async fn delete(client: &Client, place: &ObjectPlace, uid: &str) -> Outcome {
    remove(client, place, uid, PropagationPolicy::Background).await
}

async fn remove(client: &Client, place: &ObjectPlace, uid: &str, dependents: PropagationPolicy) -> Outcome {
    let api = kinds::namespaced(client, &place.kind, &place.namespace);
    let parameters = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), ..Preconditions::default() }),
        propagation_policy: Some(dependents),
        ..DeleteParams::default()
    };
    match api.delete(&place.name, &parameters).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Outcome::Applied,
        Err(kube::Error::Api(status)) if status.is_conflict() => Outcome::Outdated(status.message),
        result => written(result),
    }
}

/// Adds our finalizer, keeping those of others. A merge patch with the resourceVersion
/// of a fresh read: a concurrent change makes it fail, and the next pass looks again.
pub async fn add_finalizer(client: &Client, intent: &Intent) -> Outcome {
    change_finalizers(client, intent, |finalizers| {
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            finalizers.push(FINALIZER.to_owned());
        }
    })
    .await
}

/// Takes our finalizer out, keeping those of others.
pub async fn remove_finalizer(client: &Client, intent: &Intent) -> Outcome {
    change_finalizers(client, intent, |finalizers| {
        finalizers.retain(|finalizer| finalizer != FINALIZER);
    })
    .await
}

async fn change_finalizers(client: &Client, intent: &Intent, change: impl Fn(&mut Vec<String>)) -> Outcome {
    let identity = &intent.identity;
    let api = kinds::namespaced(client, "postgresql", &identity.namespace);
    let live = match api.get_opt(&identity.name).await {
        Ok(Some(live)) => live,
        Ok(None) => return Outcome::Outdated("the manifest is gone".to_owned()),
        Err(error) => return Outcome::Failed(plain(&error)),
    };
    if live.metadata.uid.as_deref() != Some(identity.uid.as_str()) {
        return Outcome::Outdated("the manifest was deleted and made anew".to_owned());
    }
    let mut finalizers = live.metadata.finalizers.clone().unwrap_or_default();
    change(&mut finalizers);
    let patch = json!({"metadata": {
        "resourceVersion": live.metadata.resource_version,
        "finalizers": finalizers,
    }});
    let parameters = PatchParams::apply(FIELD_MANAGER);
    written(api.patch(&identity.name, &parameters, &Patch::Merge(&patch)).await)
}

/// Creations are ours, as applies are.
pub(super) fn created() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

pub(super) fn written<T>(result: kube::Result<T>) -> Outcome {
    match result {
        Ok(_) => Outcome::Applied,
        Err(kube::Error::Api(status)) if status.is_conflict() => Outcome::Outdated(status.message),
        Err(error) => Outcome::Failed(plain(&error)),
    }
}
