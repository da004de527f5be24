//! Secrets, as projections: whose they are and whether their contents are as they should be. No
//! password becomes part of an observation.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use matriarch_cluster::{CredentialSecret, Intent, PasswordSource, Pooler};
use matriarch_plan::scheduler::Key;
use matriarch_plan::{SecretSeen, Seen};
use serde_json::Value;

use super::kubernetes::{seen, text};
use super::memory::{Memory, fingerprint};
use super::passwords;
use crate::cache;
use crate::plain::plain;
use crate::reads::Reads;

/// Key of the password in a credentials Secret.
pub const PASSWORD: &str = "password";

/// Credentials Secrets by name.
pub async fn credentials(reads: &Reads, intent: &Intent) -> BTreeMap<String, Seen<SecretSeen>> {
    let asked = intent
        .secrets
        .iter()
        .map(|secret| async move { (secret.object.name.clone(), credential(reads, secret).await) });
    join_all(asked).await.into_iter().collect()
}

async fn credential(reads: &Reads, secret: &CredentialSecret) -> Seen<SecretSeen> {
    let object = &secret.object;
    let found = match seen(reads.get("Secret", &object.namespace, &object.name).await) {
        Seen::Present(found) => found,
        Seen::Absent => return Seen::Absent,
        Seen::Unknown(why) => return Seen::Unknown(why),
    };
    let follows = match &secret.password {
        PasswordSource::Generate => None,
        PasswordSource::Copy(source) => {
            let source = digest_of(reads, &source.namespace, &source.name, &source.key).await;
            source.map(|source| found["digests"][PASSWORD] == *source)
        }
    };
    Seen::Present(SecretSeen { follows, ..projected(&found) })
}

/// What stands for a value; nothing when it is not there, is empty or cannot be read.
async fn digest_of(reads: &Reads, namespace: &str, name: &str, key: &str) -> Option<String> {
    let secret = reads.secret(namespace, name).await.ok()??;
    secret["digests"][key].as_str().filter(|digest| !digest.is_empty()).map(str::to_owned)
}

fn projected(secret: &Value) -> SecretSeen {
    SecretSeen {
        uid: text(secret, "uid"),
        metadata: secret["metadata"].clone(),
        username: secret["username"].as_str().unwrap_or_default().to_owned(),
        has_password: secret["digests"][PASSWORD].as_str().is_some_and(|digest| !digest.is_empty()),
        follows: None,
    }
}

/// Every credentials Secret that carries the cluster's labels.
pub async fn labelled(reads: &Reads, intent: &Intent) -> BTreeMap<String, Seen<SecretSeen>> {
    let key = Key::new(&intent.identity.namespace, &intent.identity.name);
    match reads.list("Secret", &key, &intent.selector).await {
        // Said at start: without the right to list them, those of former users are not found.
        Err(kube::Error::Api(status)) if status.is_forbidden() => BTreeMap::new(),
        Err(error) => [("(all)".to_owned(), Seen::Unknown(plain(&error)))].into(),
        Ok(list) => {
            list.iter().map(|secret| (text(secret, "name"), Seen::Present(projected(secret)))).collect()
        }
    }
}

/// For each pooler's user list: whether its content is what the credentials make of it.
pub async fn user_lists(
    reads: &Reads,
    memory: &Memory,
    key: &Key,
    intent: &Intent,
) -> BTreeMap<String, Seen<bool>> {
    let asked = intent.poolers.iter().map(|pooler| async move {
        (pooler.user_list.name.clone(), user_list(reads, memory, key, pooler).await)
    });
    join_all(asked).await.into_iter().collect()
}

/// The passwords are read only when the list or one of them has changed since the last comparison.
async fn user_list(reads: &Reads, memory: &Memory, key: &Key, pooler: &Pooler) -> Seen<bool> {
    let object = &pooler.user_list;
    let live = match seen(reads.get("Secret", &object.namespace, &object.name).await) {
        Seen::Present(live) => live["digests"][passwords::USER_LIST].as_str().unwrap_or_default().to_owned(),
        Seen::Absent => return Seen::Absent,
        Seen::Unknown(why) => return Seen::Unknown(why),
    };
    let sources = join_all(pooler.users.iter().map(|(user, source)| async move {
        (user.clone(), digest_of(reads, &source.namespace, &source.name, &source.key).await)
    }))
    .await;
    let compared = fingerprint((&live, &sources));
    let is_complete = sources.iter().all(|(_, digest)| digest.is_some());
    if is_complete && let Some(fits) = memory.user_list(key, &object.name, compared) {
        return Seen::Present(fits);
    }
    match passwords::user_list(reads.client(), pooler).await {
        Err(why) => Seen::Unknown(why),
        Ok(wanted) => {
            let fits = cache::digest(wanted.as_bytes()) == live;
            memory.keep_user_list(key, &object.name, compared, fits);
            Seen::Present(fits)
        }
    }
}

/// A key of a Secret as text; nothing when it is absent or empty.
pub fn content(secret: &Secret, key: &str) -> Option<String> {
    let bytes = &secret.data.as_ref()?.get(key)?.0;
    let text = String::from_utf8(bytes.clone()).ok()?;
    (!text.is_empty()).then_some(text)
}
