//! Patroni's answers: members and dynamic configuration.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use matriarch_patroni::{Client, Lag, Status};
use matriarch_plan::{Member, PatroniSeen, PodSeen, Seen};
use serde_json::Value;

use super::Addresses;

/// The REST address of a member (05 §12).
pub fn base_url(address: &str) -> String {
    format!("http://{address}:8008")
}

/// Asks the leader first, then the other running pods together, until one answers.
pub async fn observe(client: &Client, addresses: &Addresses, pods: &Seen<Vec<PodSeen>>) -> Seen<PatroniSeen> {
    let pods = match pods {
        Seen::Present(pods) => pods,
        Seen::Absent => return Seen::Absent,
        Seen::Unknown(why) => return Seen::Unknown(why.clone()),
    };
    let mut running: Vec<&PodSeen> =
        pods.iter().filter(|pod| pod.ip.is_some() && pod.waiting.is_none()).collect();
    // Asked only before there is a leader lock: nobody's Patroni can lead then.
    if running.is_empty() {
        return Seen::Absent;
    }
    running.sort_by_key(|pod| addresses.primary.as_ref() != Some(&pod.name));
    match first_answer(client, addresses, &running).await {
        Ok(mut seen) => {
            if addresses.primary.is_none() && seen.leader().is_none() {
                seen.without_database = without_database(client, addresses, &running).await;
            }
            Seen::Present(seen)
        }
        Err(why) => Seen::Unknown(why),
    }
}

async fn first_answer(
    client: &Client,
    addresses: &Addresses,
    running: &[&PodSeen],
) -> Result<PatroniSeen, String> {
    let Some((first, others)) = running.split_first() else { return Err("no member runs".to_owned()) };
    let why = match ask(client, addresses, first).await {
        Ok(seen) => return Ok(seen),
        Err(why) => why,
    };
    // Whoever answers first: one after the other, members that are silent would add up.
    let mut others: FuturesUnordered<_> = others.iter().map(|pod| ask(client, addresses, pod)).collect();
    while let Some(answer) = others.next().await {
        if let Ok(seen) = answer {
            return Ok(seen);
        }
    }
    // Of all errors always the same one, so that the status does not change with the weather.
    Err(why)
}

async fn ask(client: &Client, addresses: &Addresses, pod: &PodSeen) -> Result<PatroniSeen, String> {
    let address = addresses.pods.get(&pod.name).ok_or_else(|| format!("{} has no address", pod.name))?;
    let url = base_url(address);
    let (view, config) = tokio::join!(client.cluster(&url), client.config(&url));
    let view = view.map_err(|error| format!("{}: {error}", pod.name))?;
    let mut members = Vec::new();
    for member in view.members {
        let (pending_restart, started_at) = match addresses.pods.get(&member.name) {
            Some(address) if member.pending_restart => {
                // Which parameters, if the member says so; that it is pending is known.
                let status = client.status(&base_url(address)).await.unwrap_or_default();
                (Some(pending(&status)), status.started_at())
            }
            _ => (None, None),
        };
        members.push(Member {
            lag_bytes: match member.lag {
                Some(Lag::Bytes(bytes)) => Some(bytes),
                Some(Lag::Unknown) => None,
                None => Some(0),
            },
            name: member.name,
            role: member.role,
            state: member.state,
            pending_restart,
            nofailover: member.tags.get("nofailover").is_some_and(is_set),
            timeline: member.timeline,
            started_at,
        });
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    let config = match config {
        Ok(config) => config.map_or(Seen::Absent, Seen::Present),
        Err(error) => Seen::Unknown(error.to_string()),
    };
    Ok(PatroniSeen { members, paused: view.pause, config, without_database: BTreeSet::new() })
}

/// The members that have no database and make none. Each is asked: the list of members knows only what
/// each wrote last.
async fn without_database(client: &Client, addresses: &Addresses, running: &[&PodSeen]) -> BTreeSet<String> {
    let asked = running.iter().map(|pod| async move {
        let address = addresses.pods.get(&pod.name)?;
        let status = client.status(&base_url(address)).await.ok()?;
        status.has_no_database().then(|| pod.name.clone())
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// A tag of Patroni: a truth, or a number or text that stands for one.
fn is_set(tag: &Value) -> bool {
    match tag {
        Value::Bool(on) => *on,
        Value::String(text) => {
            !matches!(text.to_ascii_lowercase().as_str(), "" | "false" | "off" | "no" | "0")
        }
        Value::Number(number) => number.as_f64() != Some(0.0),
        _ => false,
    }
}

fn pending(status: &Status) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let reasons = status.pending_restart_reason.as_object().into_iter().flatten();
    reasons
        .map(|(name, change)| (name.clone(), (text(&change["old_value"]), text(&change["new_value"]))))
        .collect()
}
