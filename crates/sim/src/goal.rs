//! What a manifest promises, judged by the world and not by the plan.

use matriarch_plan::ObjectKey;
use matriarch_plan::difference::template_differences;
use serde_json::Value;

use crate::judge::Retention;
use crate::variant::Rendered;
use crate::world::World;

/// What is not yet as the manifest says, if anything.
pub fn missing(world: &World, rendered: &Rendered) -> Option<String> {
    members(world, rendered).or_else(|| objects(world, rendered)).or_else(|| inside(world, rendered))
}

fn members(world: &World, rendered: &Rendered) -> Option<String> {
    let wanted = rendered.intent.instances;
    if world.pods.len() != wanted as usize || world.members_up() != wanted as usize {
        return Some(format!(
            "{} of {} pods are up, {wanted} are wanted",
            world.members_up(),
            world.pods.len()
        ));
    }
    let Some(set) = &world.set else { return Some("there is no StatefulSet".to_owned()) };
    let connections = u64::from(rendered.variant.connections);
    for (ordinal, pod) in &world.pods {
        let differences = template_differences(&set.template, &pod.template);
        if let Some(difference) = differences.first() {
            return Some(format!("{} is outdated: {difference}", world.pod_name(*ordinal)));
        }
        if pod.connections != connections {
            return Some(format!(
                "{} has {} connections, not {connections}",
                world.pod_name(*ordinal),
                pod.connections
            ));
        }
    }
    let image = |template: &serde_json::Value| template["spec"]["containers"][0]["image"].clone();
    let wanted = image(&rendered.intent.stateful_set.body["spec"]["template"]);
    (image(&set.template) != wanted).then(|| format!("the image is not {wanted}"))
}

fn objects(world: &World, rendered: &Rendered) -> Option<String> {
    for key in &rendered.keys {
        let is_unwanted = rendered
            .intent
            .unwanted
            .iter()
            .any(|unwanted| unwanted.kind == key.kind && unwanted.name == key.name);
        let there = world.store.objects.contains_key(key)
            || (key.kind == "Secret" && world.secrets.contains_key(&key.name));
        if is_unwanted == there {
            let what = if is_unwanted { "is still there" } else { "is missing" };
            return Some(format!("{} {} {what}", key.kind, key.name));
        }
    }
    let missing = rendered.secrets.iter().find(|name| !world.secrets.contains_key(*name));
    if let Some(name) = missing {
        return Some(format!("Secret {name} is missing"));
    }
    let set = world.store.objects.get(&world.set_key())?;
    let (found, wanted) = (gibibytes(&set.seen.body), rendered.variant.gibibytes);
    (found < wanted).then(|| format!("volumes are of {found} GiB, not {wanted}"))
}

/// Size of the volumes that a StatefulSet asks for.
pub fn gibibytes(set: &Value) -> u32 {
    let size = &set["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"];
    size.as_str().and_then(|text| text.trim_end_matches("Gi").parse().ok()).unwrap_or(0)
}

fn inside(world: &World, rendered: &Rendered) -> Option<String> {
    for role in &rendered.intent.roles {
        let Some(live) = world.catalog.roles.get(&role.name) else {
            return Some(format!("role {} is missing", role.name));
        };
        let fitting = role.secret.as_ref().and_then(|secret| world.verifier(secret));
        if fitting.is_some() && live.verifier != fitting {
            return Some(format!("the password of role {} is not that of its Secret", role.name));
        }
    }
    let missing =
        rendered.intent.databases.iter().find(|wanted| !world.catalog.databases.contains_key(&wanted.name));
    missing.map(|database| format!("database {} is missing", database.name))
}

/// What is there after the deletion and should not, or the other way round.
pub fn left_over(
    world: &World,
    rendered: &Rendered,
    keeps: Retention,
    foreign: Option<&ObjectKey>,
) -> Option<String> {
    let shared = |key: &ObjectKey| matches!(key.kind.as_str(), "ServiceAccount" | "RoleBinding");
    let left = world.store.objects.keys().find(|key| !shared(key) && foreign != Some(key));
    if let Some(key) = left {
        return Some(format!("{} {} is left over", key.kind, key.name));
    }
    if !world.pods.is_empty() || !world.patroni.objects.is_empty() {
        return Some("pods or Patroni's objects are left over".to_owned());
    }
    if foreign.is_some_and(|key| !world.store.objects.contains_key(key)) {
        return Some("somebody else's object is gone".to_owned());
    }
    // Kubernetes itself removes what the manifest owns.
    let secrets_stay = keeps.secrets && !rendered.variant.owned;
    if world.secrets.is_empty() == secrets_stay {
        return Some(format!("{} Secrets are there, kept: {}", world.secrets.len(), keeps.secrets));
    }
    (world.claims.is_empty() == keeps.claims)
        .then(|| format!("{} claims are there, kept: {}", world.claims.len(), keeps.claims))
}
