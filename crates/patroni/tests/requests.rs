//! Requests against a responder that answers with recorded bodies (Patroni 4.1.5 and 3.0.2).

use matriarch_patroni::{Client, Error, Lag, Restart};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const CLUSTER: &str = r#"{"members":[
 {"name":"acid-minimal-cluster-0","role":"leader","state":"running","api_url":"http://A:8008/patroni","host":"A","port":5432,"timeline":1},
 {"name":"acid-minimal-cluster-1","role":"replica","state":"streaming","api_url":"http://B:8008/patroni","host":"B","port":5432,"timeline":1,
  "receive_lag":0,"receive_lsn":"0/3000000","replay_lag":0,"replay_lsn":"0/3000000","lag":0,"lsn":"0/3000000"}],
 "scope":"acid-minimal-cluster","scheduled_switchover":{"at":"2030-01-01T00:00:00+00:00","from":"acid-minimal-cluster-0","to":"acid-minimal-cluster-1"}}"#;

const STARTING: &str = r#"{"members":[
 {"name":"acid-minimal-cluster-0","role":"sync_standby","state":"streaming","lag":"unknown"},
 {"name":"acid-minimal-cluster-1","role":"replica","state":"","api_url":null,"lag":"unknown"}],"pause":true}"#;

const REPLICA: &str = r#"{"state":"running","postmaster_start_time":"2026-11-22 17:16:47.825601+00:00","role":"replica","server_version":150018,
 "xlog":{"received_location":50331744,"replayed_location":50331744,"replayed_timestamp":null,"paused":false},"timeline":1,"replication_state":"streaming",
 "dcs_last_seen":1795367814,"database_system_identifier":"7711045740775085698","pending_restart":true,"pending_restart_reason":{"max_connections":{"old_value":"50","new_value":"60"}},
 "patroni":{"version":"4.1.5","scope":"acid-minimal-cluster","name":"acid-minimal-cluster-1"}}"#;

const STOPPED: &str = r#"{"state":"stopped","role":"uninitialized","patroni":{"version":"4.1.5"}}"#;

/// Answers one request with `status` and `body`; gives the base URL and, once answered,
/// the request as it came.
async fn responder(status: &str, body: &str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base_url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = format!("HTTP/1.0 {status} x\r\nContent-Type: application/json\r\n\r\n{body}");
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let request = read_request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.expect("answered");
        request
    });
    (base_url, task)
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.expect("readable");
        request.push_str(&String::from_utf8_lossy(&buffer[..read]));
        if let Some((head, body)) = request.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.parse().expect("a number"));
            if body.len() >= length || read == 0 {
                return request;
            }
        }
    }
}

fn body_of(request: &str) -> serde_json::Value {
    let (_, body) = request.split_once("\r\n\r\n").expect("a whole request");
    serde_json::from_str(body).expect("JSON")
}

fn client() -> Client {
    Client::new().expect("a client")
}

#[tokio::test]
async fn cluster() {
    let (url, request) = responder("200", CLUSTER).await;
    let view = client().cluster(&url).await.expect("a view");
    assert!(request.await.expect("answered").starts_with("GET /cluster HTTP/1.1\r\n"));
    assert_eq!(view.leader().map(|m| m.name.as_str()), Some("acid-minimal-cluster-0"));
    assert_eq!((view.members.len(), view.pause), (2, false));
    let replica = &view.members[1];
    assert!(replica.is_streaming() && !replica.is_synchronous());
    assert_eq!(replica.lag, Some(Lag::Bytes(0)));
    assert_eq!((replica.host.as_deref(), replica.timeline), (Some("B"), Some(1)));
    assert!(view.scheduled_switchover.is_some());
}

#[tokio::test]
async fn a_body_with_503_counts_and_unknown_lag_is_unknown() {
    let (url, _) = responder("503", STARTING).await;
    let view = client().cluster(&url).await.expect("a view");
    assert!(view.pause && view.leader().is_none());
    assert!(view.members[0].is_synchronous() && view.members[0].is_streaming());
    assert_eq!(view.members[1].lag, Some(Lag::Unknown));
    assert!(!view.members[1].is_streaming());
}

#[tokio::test]
async fn status() {
    let (url, _) = responder("200", REPLICA).await;
    let status = client().status(&url).await.expect("a status");
    assert!(status.is_streaming_replica() && !status.is_primary());
    assert!(status.pending_restart);
    assert_eq!(status.pending_restart_reason["max_connections"]["new_value"], "60");
    assert_eq!(status.server_version, Some(150_018));

    let (url, _) = responder("503", STOPPED).await;
    let status = client().status(&url).await.expect("a status");
    assert!(!status.is_streaming_replica() && !status.is_primary());
}

#[tokio::test]
async fn configuration() {
    let (url, _) = responder("200", r#"{"ttl":30}"#).await;
    assert_eq!(client().config(&url).await.expect("read"), Some(json!({"ttl": 30})));

    let (url, request) = responder("200", r#"{"ttl":20}"#).await;
    let whole = client().patch_config(&url, &json!({"ttl": 20})).await.expect("patched");
    assert_eq!(whole, json!({"ttl": 20}));
    let request = request.await.expect("answered");
    assert!(request.starts_with("PATCH /config "), "{request}");
    assert_eq!(body_of(&request), json!({"ttl": 20}));

    // An empty patch would be refused: it becomes a read.
    let (url, request) = responder("200", r#"{"ttl":20}"#).await;
    client().patch_config(&url, &json!({})).await.expect("read");
    assert!(request.await.expect("answered").starts_with("GET /config "));

    let (url, _) = responder("503", "no reason").await;
    let error = client().config(&url).await.expect_err("refused");
    assert_eq!(error.to_string(), format!("Patroni at {url} refused GET /config with 503: no reason"));
}

/// As Patroni 4.1.5 answers before the first database is made.
const NO_CONFIGURATION: &str =
    "<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <title>Error response</title>";

/// Its page stood in the status of every cluster that was being made.
#[tokio::test]
async fn no_configuration_yet_is_no_error_and_a_page_is_no_reason() {
    let (url, _) = responder("502", NO_CONFIGURATION).await;
    assert_eq!(client().config(&url).await.expect("read"), None);
    let (url, _) = responder("502", NO_CONFIGURATION).await;
    let error = client().patch_config(&url, &json!({"ttl": 20})).await.expect_err("refused");
    assert_eq!(error.to_string(), format!("Patroni at {url} refused PATCH /config with 502: Bad Gateway"));
}

#[tokio::test]
async fn a_member_says_that_it_has_no_database() {
    let (url, _) = responder("503", STOPPED).await;
    assert!(client().status(&url).await.expect("a status").has_no_database());
    for body in [
        REPLICA,
        r#"{"state":"initializing new cluster","role":"uninitialized"}"#,
        r#"{"state":"stopped","role":"replica"}"#,
    ] {
        let (url, _) = responder("503", body).await;
        assert!(!client().status(&url).await.expect("a status").has_no_database(), "{body}");
    }
}

#[tokio::test]
async fn switchover() {
    let (url, request) = responder("200", "Successfully switched over to \"b\"").await;
    let said = client().switchover(&url, "a", "b").await.expect("done");
    assert_eq!(said, "Successfully switched over to \"b\"");
    assert_eq!(body_of(&request.await.expect("answered")), json!({"leader": "a", "candidate": "b"}));

    let (url, _) = responder("412", "leader name does not match").await;
    let error = client().switchover(&url, "a", "b").await.expect_err("refused");
    assert!(matches!(error, Error::Refused { status: 412, .. }), "{error}");

    // Scheduled instead of done: not what was asked.
    let (url, _) = responder("202", "Switchover scheduled").await;
    assert!(client().switchover(&url, "a", "b").await.is_err());
}

#[tokio::test]
async fn restart() {
    let (url, request) = responder("200", "restarted successfully").await;
    assert_eq!(client().restart(&url).await.expect("done"), Restart::Done);
    assert_eq!(body_of(&request.await.expect("answered")), json!({"restart_pending": true}));

    let (url, _) = responder("503", "restart conditions are not satisfied").await;
    assert_eq!(client().restart(&url).await.expect("fine"), Restart::NotNeeded);

    let (url, _) = responder("503", "something else").await;
    assert!(client().restart(&url).await.is_err());
}

#[tokio::test]
async fn errors_name_the_member() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let error = client().status(&url).await.expect_err("nobody listens");
    assert!(error.is_unreachable());
    assert!(error.to_string().starts_with(&format!("Patroni at {url} did not answer GET /patroni: ")));

    let (url, _) = responder("200", "<html>").await;
    let error = client().status(&url).await.expect_err("not JSON");
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
}
