//! What is kept of a Secret: the user's name in clear, and for each key whether two values are the
//! same. The key of the digests is made at start and leaves the process never.

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use rand::Rng;
use serde_json::{Map, Value, json};
use sha2::Sha256;

static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
    let mut key = [0; 32];
    rand::rng().fill_bytes(&mut key);
    key
});

/// Key of the user's name in a credentials Secret.
const USERNAME: &str = "username";

/// Puts `digests` and `username` in the place of `data`.
pub fn project(object: &mut Value) {
    let Some(object) = object.as_object_mut() else { return };
    object.remove("stringData");
    let data = object.remove("data");
    let data = data.as_ref().and_then(Value::as_object);
    let mut digests = Map::new();
    for (key, value) in data.into_iter().flatten() {
        let content = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
        if key == USERNAME
            && let Ok(name) = String::from_utf8(content.clone())
        {
            object.insert(USERNAME.to_owned(), json!(name));
        }
        digests.insert(key.clone(), json!(digest(&content)));
    }
    object.insert("digests".to_owned(), Value::Object(digests));
}

/// Stands for a value; nothing for an empty one. Equal for equal values, within one process.
pub fn digest(content: &[u8]) -> String {
    if content.is_empty() {
        return String::new();
    }
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(KEY.as_slice()) else { return String::new() };
    mac.update(content);
    let code = mac.finalize().into_bytes();
    code.iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_tells_the_user_and_equality_but_no_password() {
        let secret = |password: &str| {
            let data = json!({"username": STANDARD.encode("zalando"), "password": STANDARD.encode(password)});
            let mut secret = json!({"metadata": {"name": "a"}, "data": data});
            project(&mut secret);
            secret
        };
        let (one, two) = (secret("swordfish"), secret("herring"));
        assert_eq!(one["username"], "zalando");
        assert_eq!(one, secret("swordfish"));
        assert_ne!(one["digests"]["password"], two["digests"]["password"]);
        assert_eq!(secret("")["digests"]["password"], "");
        let text = one.to_string();
        assert!(!text.contains("swordfish") && !text.contains(&STANDARD.encode("swordfish")), "{text}");
    }
}
