//! The annotation that asks for a complete look at a cluster, and its echo.

use matriarch_api::{Condition, PostgresqlStatus};
use serde_json::Value;

use crate::status;

/// Any new value asks for a look; the value stands in the condition `Synced` afterwards.
pub const ANNOTATION: &str = "acid.zalan.do/sync";
const CONDITION: &str = "Synced";

/// The token that the manifest carries, if any.
pub fn token(manifest: &Value) -> Option<&str> {
    manifest["metadata"]["annotations"][ANNOTATION].as_str().filter(|token| !token.is_empty())
}

/// Whether the manifest carries a token that is not echoed yet.
pub fn is_asked_for(manifest: &Value) -> bool {
    let Some(token) = token(manifest) else { return false };
    let conditions = manifest["status"]["conditions"].as_array().into_iter().flatten();
    !conditions.into_iter().any(|condition| condition["type"] == CONDITION && condition["message"] == *token)
}

/// Puts the echo into a status: the new one after a complete pass, otherwise the one that stood
/// there. Without the annotation there is none.
pub fn echo(
    after: &mut PostgresqlStatus,
    before: &PostgresqlStatus,
    manifest: &Value,
    complete: bool,
    now: jiff::Timestamp,
) {
    let old = before.conditions.iter().find(|condition| condition.type_ == CONDITION);
    after.conditions.retain(|condition| condition.type_ != CONDITION);
    let Some(token) = token(manifest) else { return };
    let known = old.filter(|condition| !complete || condition.message == token);
    let echo = match known {
        Some(condition) => condition.clone(),
        None if complete => Condition {
            type_: CONDITION.to_owned(),
            status: "True".to_owned(),
            reason: "Asked".to_owned(),
            message: token.to_owned(),
            last_transition_time: status::seconds(now),
            observed_generation: manifest["metadata"]["generation"].as_i64(),
        },
        None => return,
    };
    after.conditions.push(echo);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest(token: Option<&str>, status: &PostgresqlStatus) -> Value {
        json!({"metadata": {"annotations": {ANNOTATION: token}, "generation": 3}, "status": status})
    }

    #[test]
    fn a_token_is_echoed_once_by_a_complete_pass() {
        let (one, two) = (jiff::Timestamp::from_second(1).unwrap(), jiff::Timestamp::from_second(2).unwrap());
        let empty = PostgresqlStatus::default();
        let asked = manifest(Some("a"), &empty);
        assert!(is_asked_for(&asked));
        let mut status = PostgresqlStatus::default();
        echo(&mut status, &empty, &asked, false, one);
        assert_eq!(status.conditions, [], "the pass was not complete");
        echo(&mut status, &empty, &asked, true, one);
        assert_eq!((status.conditions.len(), status.conditions[0].message.as_str()), (1, "a"));
        assert!(!is_asked_for(&manifest(Some("a"), &status)));
        // The next pass writes nothing new, and another token does.
        let mut later = PostgresqlStatus::default();
        echo(&mut later, &status, &manifest(Some("a"), &status), true, two);
        assert_eq!(later, status);
        assert!(is_asked_for(&manifest(Some("b"), &status)));
        echo(&mut later, &status, &manifest(Some("b"), &status), true, two);
        assert_eq!(later.conditions[0].last_transition_time, "1970-01-01T00:00:02Z");
        echo(&mut later, &status, &manifest(None, &status), true, two);
        assert_eq!(later.conditions, []);
    }
}
