//! Who may log in as a person: `PostgresTeam` objects and the Teams API (02 §6).

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use anyhow::bail;
use axum::http::uri::PathAndQuery;
use axum::http::{Request, Uri, header};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::client::Body;
use kube::{Api, Client, Config};
use matriarch_api::{PostgresTeam, PostgresTeamSpec};
use matriarch_cluster::teams::{self, Access, Teams};
use matriarch_cluster::{Cluster, Human, Reference};
use matriarch_settings::Settings;
use serde_json::Value;
use tracing::warn;

use super::memory::Memory;
use super::secrets::content;
use crate::plain::plain;
use crate::reads::Reads;

/// A team that was asked for is not asked for again within this time, by whatever cluster.
const FRESH: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(5);
/// More bytes are no list of members.
const LARGEST_ANSWER: usize = 1 << 20;
/// After a question that failed the next one is asked this much later: nobody waits in vain in each pass.
const RETRY: Duration = Duration::from_secs(15);

/// What the Teams API said of a team.
#[derive(Clone)]
struct Answer {
    asked: Instant,
    /// The last members that it named.
    members: Option<Vec<String>>,
    /// Why the last question was not answered.
    failure: Option<String>,
}

impl Answer {
    fn is_fresh(&self) -> bool {
        self.asked.elapsed() < if self.failure.is_none() { FRESH } else { RETRY }
    }

    /// The last known members stay where there are some.
    fn result(self) -> Result<Vec<String>, String> {
        self.members.ok_or_else(|| self.failure.unwrap_or_default())
    }
}

/// Answers by address and team.
static ANSWERS: LazyLock<Mutex<BTreeMap<(String, String), Answer>>> = LazyLock::new(Mutex::default);

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
            Err(error) => return Err(format!("PostgresTeams cannot be listed: {}", plain(&error))),
        }
    }
    Ok(Teams::merge(&specs))
}

/// Members that the Teams API names; the last answer if it gives none now.
async fn members_of(client: &Client, settings: &Settings, team: &str) -> Result<Vec<String>, String> {
    let key = (settings.teams_api_url.clone(), team.to_owned());
    let known = ANSWERS.lock().ok().and_then(|answers| answers.get(&key).cloned());
    if let Some(answer) = known.as_ref().filter(|answer| answer.is_fresh()) {
        return answer.clone().result();
    }
    let (members, failure) = match ask(client, settings, team).await {
        Ok(members) => (Some(members), None),
        Err(why) => {
            let members = known.and_then(|known| known.members);
            if members.is_some() {
                warn!(team, "the last known members stay: {why}");
            }
            (members, Some(why))
        }
    };
    let answer = Answer { asked: Instant::now(), members, failure };
    if let Ok(mut answers) = ANSWERS.lock() {
        answers.insert(key, answer.clone());
    }
    answer.result()
}

async fn ask(client: &Client, settings: &Settings, team: &str) -> Result<Vec<String>, String> {
    let url = address(settings, team)?;
    let token = token(client, settings).await?;
    let answer = tokio::time::timeout(TIMEOUT, get(&url, &token, None)).await;
    let answer = answer.unwrap_or_else(|_| bail!("no answer within {} s", TIMEOUT.as_secs()));
    let failed = |error: anyhow::Error| format!("teams_api_url does not answer: {}", plain(error.as_ref()));
    let (status, body) = answer.map_err(failed)?;
    members_in(status, &body, &url.to_string())
}

/// Asks with a bearer token, over TLS where the address says so. Trusted are `authorities` (DER), or
/// those of the system (`SSL_CERT_FILE`). The Kubernetes client brings all that this takes.
async fn get(url: &Uri, token: &str, authorities: Option<Vec<Vec<u8>>>) -> anyhow::Result<(u16, String)> {
    let mut origin = url.clone().into_parts();
    origin.path_and_query = Some(PathAndQuery::from_static("/"));
    let mut config = Config::new(Uri::from_parts(origin)?);
    config.root_cert = authorities;
    let client = Client::try_from(config)?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::ACCEPT, "application/json")
        .body(Body::empty())?;
    let answer = client.send(request).await?;
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(axum::body::Body::new(answer.into_body()), LARGEST_ANSWER).await?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Where a team is asked for.
fn address(settings: &Settings, team: &str) -> Result<Uri, String> {
    let text = format!("{}/teams/{team}", settings.teams_api_url.trim_end_matches('/'));
    let wrong =
        |why: &str| format!("teams_api_url {:?} {why}; write https://host/path", settings.teams_api_url);
    let url: Uri = text.parse().map_err(|error| wrong(&format!("is no address: {error}")))?;
    match (url.scheme_str(), url.authority()) {
        (Some("http" | "https"), Some(_)) => Ok(url),
        _ => Err(wrong("is neither http nor https")),
    }
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
        Err(error) => return Err(format!("{place} cannot be read: {}", plain(&error))),
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
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use crate::plain::plain;

    use super::{Answer, address, get, members_in, token_place};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use matriarch_settings::Settings;

    #[test]
    fn the_teams_api_and_its_token_follow_the_settings() {
        let with = |url: &str, secret: &str| Settings {
            teams_api_url: url.to_owned(),
            oauth_token_secret_name: secret.into(),
            ..Settings::default()
        };
        let address = |settings: &Settings| address(settings, "acid").map(|url| url.to_string());
        let plain = with("http://teams/api//", "token");
        assert_eq!(address(&plain), Ok("http://teams/api/teams/acid".to_owned()));
        assert_eq!(token_place(&plain, "own"), ("own", "token"));
        let other = with("https://teams/api", "there/token");
        assert_eq!(address(&other), Ok("https://teams/api/teams/acid".to_owned()));
        for wrong in ["ftp://teams", "teams", "", "https://a b"] {
            let refused = address(&with(wrong, "token"));
            assert!(refused.clone().is_err_and(|why| why.contains("teams_api_url")), "{wrong}: {refused:?}");
        }
        assert_eq!(token_place(&other, "own"), ("there", "token"));
    }

    #[test]
    fn a_teams_api_that_fails_is_left_alone_for_a_while_and_the_last_members_stay() {
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).expect("a moment");
        let answer = |seconds, members: Option<&str>, failure: Option<&str>| Answer {
            asked: ago(seconds),
            members: members.map(|name| vec![name.to_owned()]),
            failure: failure.map(str::to_owned),
        };
        assert!(answer(30, Some("a"), None).is_fresh() && !answer(61, Some("a"), None).is_fresh());
        assert!(answer(5, None, Some("down")).is_fresh() && !answer(16, None, Some("down")).is_fresh());
        assert_eq!(answer(5, Some("a"), Some("down")).result(), Ok(vec!["a".to_owned()]));
        assert_eq!(answer(5, None, Some("down")).result(), Err("down".to_owned()));
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

    /// Answers one request over TLS, and gives it back.
    async fn answer_once(listener: TcpListener, acceptor: TlsAcceptor) -> std::io::Result<String> {
        let (stream, _) = listener.accept().await?;
        let mut stream = acceptor.accept(stream).await?;
        let mut request = vec![0; 4096];
        let mut length = 0;
        while !request[..length].windows(4).any(|end| end == b"\r\n\r\n") {
            length += stream.read(&mut request[length..]).await?;
        }
        let body = r#"{"member": ["alice"]}"#;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        Ok(String::from_utf8_lossy(&request[..length]).into_owned())
    }

    #[tokio::test]
    async fn a_teams_api_is_asked_over_tls_and_only_if_its_certificate_is_trusted() {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = certified.cert.der().clone();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("a server");
        let acceptor = TlsAcceptor::from(Arc::new(server));
        for trusts in [true, false] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let port = listener.local_addr().expect("an address").port();
            let settings =
                Settings { teams_api_url: format!("https://localhost:{port}/api/"), ..Settings::default() };
            let url = address(&settings, "acid").expect("an address");
            // Trusted is another one in its place.
            let other = rcgen::generate_simple_self_signed(["other".to_owned()]).expect("a certificate");
            let trusted = if trusts { certificate.to_vec() } else { other.cert.der().to_vec() };
            let served = tokio::spawn(answer_once(listener, acceptor.clone()));
            let answer = get(&url, "secret", Some(vec![trusted])).await;
            let request = served.await.expect("a served request");
            if trusts {
                let (status, body) = answer.expect("an answer");
                assert_eq!(members_in(status, &body, "there"), Ok(vec!["alice".to_owned()]));
                let request = request.expect("a request").to_lowercase();
                assert!(request.starts_with("get /api/teams/acid http/1.1"), "{request}");
                assert!(request.contains("authorization: bearer secret"), "{request}");
            } else {
                let why = plain(answer.expect_err("the certificate is not trusted").as_ref());
                assert!(why.contains("certificate"), "{why}");
            }
        }
    }
}
