//! Who may log in as a person: `PostgresTeam` objects and the Teams API (02 §6).

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client};
use matriarch_api::{PostgresTeam, PostgresTeamSpec};
use matriarch_cluster::teams::{self, Access, Teams};
use matriarch_cluster::{Cluster, Human, Reference};
use matriarch_settings::Settings;
use serde_json::Value;
use tracing::warn;

use super::memory::Memory;
use super::secrets::content;
use crate::reads::Reads;

/// A team that was asked for is not asked for again within this time, by whatever cluster.
const FRESH: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Members by address and team, with the moment of the answer.
static ANSWERS: LazyLock<Mutex<BTreeMap<(String, String), (Instant, Vec<String>)>>> =
    LazyLock::new(Mutex::default);

/// The people of the cluster's team and of the teams added to it, as they were a short time ago or
/// are now; `None` where no source is on.
pub async fn recent_humans(
    reads: &Reads,
    memory: &Memory,
    cluster: &Cluster,
    settings: &Settings,
) -> Option<Reference<Vec<Human>>> {
    if !settings.enable_postgres_team_crd && !settings.enable_teams_api {
        return None;
    }
    let team = &cluster.identity.team;
    let ask = async {
        match humans(reads, team, settings).await {
            Ok(humans) => Reference::Known(humans),
            Err(why) => Reference::Unknown(why),
        }
    };
    Some(memory.people.or_ask(about(team, settings), reads.is_live(), ask).await)
}

/// Everything that the answer depends on.
fn about(team: &str, settings: &Settings) -> String {
    let sources = (settings.enable_postgres_team_crd, settings.enable_teams_api, &settings.teams_api_url);
    let superusers = (
        settings.enable_postgres_team_crd_superusers,
        &settings.postgres_superuser_teams,
        settings.enable_team_superuser,
    );
    format!("{team} {sources:?} {superusers:?} {:?}", settings.watched_namespace)
}

async fn humans(reads: &Reads, team: &str, settings: &Settings) -> Result<Vec<Human>, String> {
    let merged = teams(reads, settings).await?;
    let mut members = BTreeMap::new();
    if settings.enable_teams_api {
        for name in Access::of(team, &merged, settings).teams() {
            members.insert(name.to_owned(), members_of(reads.client(), settings, name).await?);
        }
    }
    Ok(teams::humans(team, &merged, &members, settings))
}

/// Every `PostgresTeam` of the watched namespaces. Without the kind there are none.
async fn teams(reads: &Reads, settings: &Settings) -> Result<Teams, String> {
    if !settings.enable_postgres_team_crd {
        return Ok(Teams::default());
    }
    let client = reads.client();
    let namespaces = reads.namespaces(settings);
    let mut specs: Vec<PostgresTeamSpec> = Vec::new();
    for namespace in namespaces.each() {
        let api: Api<PostgresTeam> = match namespace {
            None => Api::all(client.clone()),
            Some(namespace) => Api::namespaced(client.clone(), namespace),
        };
        match api.list(&ListParams::default()).await {
            Ok(list) => specs.extend(list.items.into_iter().map(|team| team.spec)),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(format!("PostgresTeams cannot be listed: {error}")),
        }
    }
    Ok(Teams::merge(&specs))
}

/// Members that the Teams API names; the last answer if it gives none now.
async fn members_of(client: &Client, settings: &Settings, team: &str) -> Result<Vec<String>, String> {
    let key = (settings.teams_api_url.clone(), team.to_owned());
    let known = ANSWERS.lock().ok().and_then(|answers| answers.get(&key).cloned());
    if let Some((at, members)) = &known
        && at.elapsed() < FRESH
    {
        return Ok(members.clone());
    }
    match ask(client, settings, team).await {
        Ok(members) => {
            if let Ok(mut answers) = ANSWERS.lock() {
                answers.insert(key, (Instant::now(), members.clone()));
            }
            Ok(members)
        }
        Err(why) => match known {
            Some((_, members)) => {
                warn!(team, "the last known members stay: {why}");
                Ok(members)
            }
            None => Err(why),
        },
    }
}

async fn ask(client: &Client, settings: &Settings, team: &str) -> Result<Vec<String>, String> {
    let url = address(settings, team)?;
    let token = token(client, settings).await?;
    let http = reqwest::Client::builder().connect_timeout(TIMEOUT).timeout(TIMEOUT).build();
    let http = http.map_err(|error| error.to_string())?;
    let failed = |error: reqwest::Error| format!("teams_api_url does not answer: {error}");
    let answer = http.get(&url).bearer_auth(token).send().await.map_err(failed)?;
    let status = answer.status();
    let body = answer.text().await.map_err(failed)?;
    members_in(status.as_u16(), &body, &url)
}

/// Where a team is asked for.
fn address(settings: &Settings, team: &str) -> Result<String, String> {
    let base = settings.teams_api_url.as_str();
    if !base.starts_with("http://") {
        // The HTTP client is built without TLS.
        return Err(
            "teams_api_url is not http://, and this release asks a Teams API without TLS only".to_owned()
        );
    }
    Ok(format!("{}/teams/{team}", base.trim_end_matches('/')))
}

/// Namespace and name of the Secret with the token.
fn token_place<'a>(settings: &'a Settings, own: &'a str) -> (&'a str, &'a str) {
    let option = settings.oauth_token_secret_name.as_str();
    option.split_once('/').unwrap_or((own, option))
}

/// What an answer says. A team that the API does not know has no members there.
fn members_in(status: u16, body: &str, url: &str) -> Result<Vec<String>, String> {
    if status == 404 {
        return Ok(Vec::new());
    }
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    if !answer.is_object() {
        return Err(format!("{url} answers {status} with something that is no JSON object"));
    }
    if status != 200 {
        let error = answer["error"].as_str().unwrap_or("without a reason");
        return Err(format!("{url} answers {status}: {error}"));
    }
    let members = answer["member"].as_array().into_iter().flatten();
    Ok(members.filter_map(Value::as_str).map(str::to_owned).collect())
}

async fn token(client: &Client, settings: &Settings) -> Result<String, String> {
    let own = client.default_namespace();
    let (namespace, name) = token_place(settings, own);
    let place = format!("Secret {namespace}/{name} (oauth_token_secret_name)");
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = match api.get_opt(name).await {
        Ok(Some(secret)) => secret,
        Ok(None) => return Err(format!("{place} does not exist")),
        Err(error) => return Err(format!("{place} cannot be read: {error}")),
    };
    match content(&secret, "read-only-token-type").as_deref() {
        Some("Bearer") => {}
        _ => return Err(format!("{place}: read-only-token-type is not Bearer")),
    }
    content(&secret, "read-only-token-secret")
        .ok_or_else(|| format!("{place}: read-only-token-secret is empty"))
}

#[cfg(test)]
mod tests {
    use super::{address, members_in, token_place};
    use matriarch_settings::Settings;

    #[test]
    fn the_teams_api_and_its_token_follow_the_settings() {
        let with = |url: &str, secret: &str| Settings {
            teams_api_url: url.to_owned(),
            oauth_token_secret_name: secret.into(),
            ..Settings::default()
        };
        let plain = with("http://teams/api//", "token");
        assert_eq!(address(&plain, "acid"), Ok("http://teams/api/teams/acid".to_owned()));
        assert_eq!(token_place(&plain, "own"), ("own", "token"));
        let other = with("https://teams/api", "there/token");
        assert!(address(&other, "acid").is_err_and(|why| why.contains("teams_api_url")));
        assert_eq!(token_place(&other, "own"), ("there", "token"));
    }

    #[test]
    fn vectors_02_6_1_answers_of_the_teams_api() {
        let read = |status, body| members_in(status, body, "http://teams/teams/acid");
        assert_eq!(read(200, r#"{"member": ["a", "b"], "id": "acid"}"#), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(read(200, r#"{"id": "acid"}"#), Ok(vec![]));
        assert_eq!(read(404, "not found"), Ok(vec![]));
        let refused = read(401, r#"{"error": "no token"}"#);
        assert_eq!(refused, Err("http://teams/teams/acid answers 401: no token".into()));
        for body in [r#"["a"]"#, "<html>"] {
            assert!(read(200, body).is_err_and(|why| why.contains("no JSON object")), "{body}");
        }
    }
}
