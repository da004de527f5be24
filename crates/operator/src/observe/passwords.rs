//! Passwords that stand elsewhere: sources of copied ones, and the lines of a pooler's user list.
//! They are read when they are needed and never become part of an observation.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use matriarch_cluster::{Pooler, SecretKey};

use super::secrets::content;

use crate::plain::plain;

/// Key of a user list's Secret.
pub const USER_LIST: &str = "userlist.txt";

/// A key of a Secret, or why it cannot be had.
pub async fn read(client: &Client, key: &SecretKey) -> Result<String, String> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    let place = format!("Secret {}/{}", key.namespace, key.name);
    match api.get_opt(&key.name).await {
        Err(error) => Err(plain(&error)),
        Ok(None) => Err(format!("{place} does not exist")),
        Ok(Some(secret)) => {
            content(&secret, &key.key).ok_or_else(|| format!("{place} has no key {}", key.key))
        }
    }
}

/// The password of a credentials Secret.
pub async fn of(client: &Client, namespace: &str, secret: &str) -> Result<String, String> {
    let key = SecretKey {
        namespace: namespace.to_owned(),
        name: secret.to_owned(),
        key: super::secrets::PASSWORD.to_owned(),
    };
    read(client, &key).await
}

/// Content of a pooler's user list: one line per user (03 §8.2).
pub async fn user_list(client: &Client, pooler: &Pooler) -> Result<String, String> {
    let mut content = String::new();
    for (user, source) in &pooler.users {
        content.push_str(&line(user, &read(client, source).await?));
    }
    Ok(content)
}

/// PgBouncer reads two quotes as one.
fn line(user: &str, password: &str) -> String {
    let quoted = |text: &str| text.replace('"', "\"\"");
    format!("\"{}\" \"{}\"\n", quoted(user), quoted(password))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(line("pooler", "a\"b"), "\"pooler\" \"a\"\"b\"\n");
    }
}
