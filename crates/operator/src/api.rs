//! The original's HTTP interface, as far as it is here: paths and shapes are its own (02 §5).
//! Passwords and keys are not shown.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use axum::{Json, Router};
use matriarch_cluster::{InfrastructureRole, Reference};
use serde_json::{Map, Value, json};

use crate::http::Served;
use crate::observe;

/// Where a role comes from, in the original's numbers: infrastructure.
const ORIGIN: u8 = 2;
/// Stands for every password that there is.
const HIDDEN: &str = "***";

/// Its paths. Each ends with a slash; without it one is sent there.
pub fn paths() -> Router<Served> {
    Router::new()
        .route("/config", get(|| async { Redirect::permanent("/config/") }))
        .route("/config/", get(configuration))
}

async fn configuration(State(served): State<Served>) -> impl IntoResponse {
    let settings = served.settings.current();
    let Some(context) = served.context.get() else {
        let error = json!({"error": "the operator is starting"});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(error));
    };
    let roles = match observe::infrastructure_roles(&context.client, &settings).await {
        None | Some(Reference::Missing) => Value::Null,
        Some(Reference::Known(roles)) => roles.iter().map(shown).collect::<Map<_, _>>().into(),
        Some(Reference::Unknown(why)) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": why})));
        }
    };
    let controller = json!({
        "InfrastructureRoles": roles,
        "NoDatabaseAccess": !settings.enable_database_access,
        "NoTeamsAPI": !settings.enable_teams_api,
    });
    (StatusCode::OK, Json(json!({"controller": controller})))
}

/// A role as the original shows it; empty lists and maps are null there.
fn shown(role: &InfrastructureRole) -> (String, Value) {
    let flags: Vec<&str> = [
        (role.flags.superuser, "SUPERUSER"),
        (role.flags.createrole, "CREATEROLE"),
        (role.flags.createdb, "CREATEDB"),
        (role.flags.replication, "REPLICATION"),
        (role.flags.bypassrls, "BYPASSRLS"),
    ]
    .into_iter()
    .filter_map(|(on, word)| on.then_some(word))
    .collect();
    let or_null = |empty: bool, value: Value| if empty { Value::Null } else { value };
    let body = json!({
        "Origin": ORIGIN,
        "Name": role.name,
        "Namespace": "",
        "Password": role.password.as_ref().map(|_| HIDDEN),
        "Flags": or_null(flags.is_empty(), json!(flags)),
        "MemberOf": or_null(role.member_of.is_empty(), json!(role.member_of)),
        "Parameters": or_null(role.parameters.is_empty(), json!(role.parameters)),
        "AdminRole": "",
        "IsDbOwner": false,
        "Deleted": false,
        "Rotated": false,
        "Degraded": false,
    });
    (role.name.clone(), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_02_5_a_role_is_shown_as_the_original_shows_it() {
        let role = InfrastructureRole {
            name: "robot_zmon".to_owned(),
            password: Some(Default::default()),
            member_of: vec!["readers".to_owned()],
            ..InfrastructureRole::default()
        };
        let (name, body) = shown(&role);
        assert_eq!(name, "robot_zmon");
        assert_eq!(
            body,
            json!({"Origin": 2, "Name": "robot_zmon", "Namespace": "", "Password": "***", "Flags": null,
                "MemberOf": ["readers"], "Parameters": null, "AdminRole": "", "IsDbOwner": false,
                "Deleted": false, "Rotated": false, "Degraded": false})
        );
    }
}
