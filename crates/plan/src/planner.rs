//! The planner: one path for create, update, sync and recovery. It is total; what
//! cannot be decided becomes a gate, what must not be done a refusal.

use matriarch_cluster::{Intent, Object};
use matriarch_sql::PasswordState;
use serde_json::{Value, json};

use crate::action::{Action, Lane, Reason, Step};
use crate::difference::{self, Difference};
use crate::observation::{ObjectKey, ObjectSeen, Observation};
use crate::ownership;
use crate::plan::{Gate, Plan, Refusal};
use crate::rolling;
use crate::seen::Seen;

pub use crate::deletion::plan_deletion;

/// StatefulSet fields that the API server lets nobody change (06 §6.2).
const IMMUTABLE: [&str; 4] = ["volumeClaimTemplates", "selector", "serviceName", "podManagementPolicy"];

/// What to do so that the cluster becomes what the intent says.
pub fn plan_cluster(intent: &Intent, seen: &Observation) -> Plan {
    let identity = &intent.identity;
    let mut plan = Plan {
        subject: format!(
            "cluster {}/{} (team {}, generation {})",
            identity.namespace, identity.name, identity.team, identity.generation
        ),
        ..Plan::default()
    };
    if !seen.has_finalizer {
        plan.steps.push(Step::new(
            Action::AddFinalizer,
            "a deletion must not go unseen while the operator is down",
        ));
    }
    plan_shared(intent, seen, &mut plan);
    plan_secrets(intent, seen, &mut plan);
    for object in intent.services.iter().chain(&intent.disruption_budgets) {
        plan_object(object, intent, seen, &mut plan);
    }
    plan_stateful_set(intent, seen, &mut plan);
    plan_patroni_config(intent, seen, &mut plan);
    rolling::plan_pods(intent, seen, &mut plan);
    plan_sql(intent, seen, &mut plan);
    plan.steps.sort_by_key(|step| step.action.lane());
    plan
}

/// The pods' ServiceAccount and RoleBinding serve all clusters of a namespace:
/// created when missing, otherwise left alone (03 §10).
fn plan_shared(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    for object in [&intent.pod_service_account, &intent.pod_role_binding] {
        match seen.object(&key_of(object)) {
            Seen::Present(_) => {}
            Seen::Absent => plan.steps.push(Step::new(
                Action::CreateOnce(object.clone()),
                format!("namespace {} has none", object.namespace),
            )),
            Seen::Unknown(why) => plan.gates.push(unseen(object, &why)),
        }
    }
}

fn plan_secrets(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    for secret in &intent.secrets {
        let name = &secret.object.name;
        match seen.secrets.get(name).unwrap_or(&Seen::Unknown("not looked at".to_owned())) {
            Seen::Absent => plan.steps.push(Step::new(
                Action::CreateSecret(secret.clone()),
                format!("role {} has no Secret", secret.username),
            )),
            Seen::Unknown(why) => plan.gates.push(unseen(&secret.object, why)),
            Seen::Present(live) if live.username != secret.username => {
                plan.refusals.push(Refusal {
                    what: format!("Secret {name} for role {}", secret.username),
                    because: format!(
                        "it holds the credentials of {}; role names that differ only in _ and - share \
                         a Secret name: rename one of them",
                        live.username
                    ),
                });
            }
            Seen::Present(live) if !live.has_password => plan.refusals.push(Refusal {
                what: format!("Secret {name} for role {}", secret.username),
                because: "its password is empty: set data.password, or delete the Secret to have \
                          one generated"
                    .to_owned(),
            }),
            Seen::Present(_) => {}
        }
    }
}

fn plan_object(object: &Object, intent: &Intent, seen: &Observation, plan: &mut Plan) {
    match seen.object(&key_of(object)) {
        Seen::Absent => plan.steps.push(apply(object.clone(), true, vec![missing()])),
        Seen::Unknown(why) => plan.gates.push(unseen(object, &why)),
        Seen::Present(live) if !belongs(live, intent) => plan.refusals.push(foreign(object, intent)),
        Seen::Present(live) => {
            let because = reasons(&object.body, live);
            if !because.is_empty() {
                plan.steps.push(apply(object.clone(), false, because));
            }
        }
    }
}

fn plan_stateful_set(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    let object = &intent.stateful_set;
    match seen.object(&key_of(object)) {
        Seen::Absent => plan.steps.push(apply(object.clone(), true, vec![missing()])),
        Seen::Unknown(why) => plan.gates.push(unseen(object, &why)),
        Seen::Present(live) if !belongs(live, intent) => plan.refusals.push(foreign(object, intent)),
        Seen::Present(live) => {
            let mut desired = object.clone();
            keep_immutable(&mut desired, live, plan);
            if let Some(gate) = rolling::hold_scale_down(intent, live, seen, &mut desired.body) {
                plan.gates.push(gate);
                plan.steps.extend(rolling::switchover_before_scale_down(intent, seen));
            }
            let because = reasons(&desired.body, live);
            if !because.is_empty() {
                plan.steps.push(apply(desired, false, because));
            }
        }
    }
}

/// Refuses changes that the API server would, keeping the live value so that the rest
/// of the change still goes through.
fn keep_immutable(desired: &mut Object, live: &ObjectSeen, plan: &mut Plan) {
    for field in IMMUTABLE {
        let kept = live.body["spec"][field].clone();
        let found = difference::differences(&desired.body["spec"][field], &kept, &format!("spec.{field}"));
        if !found.is_empty() {
            let what = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            plan.refusals.push(Refusal {
                what: format!("StatefulSet {}: {what}", desired.name),
                because: "the field cannot be changed while the StatefulSet exists; \
                          put the old value back"
                    .to_owned(),
            });
            // Claim templates come back with a status that must not be sent.
            desired.body["spec"][field] = without_status(kept);
        }
    }
}

fn without_status(mut value: Value) -> Value {
    for template in value.as_array_mut().into_iter().flatten() {
        if let Some(template) = template.as_object_mut() {
            template.remove("status");
        }
    }
    value
}

/// Patroni's dynamic configuration is shared by all members; one PATCH does.
fn plan_patroni_config(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    let Seen::Present(patroni) = &seen.patroni else { return };
    match &patroni.config {
        Seen::Absent => {}
        Seen::Unknown(why) => {
            plan.gates.push(Gate::new(Lane::Config, "Patroni's configuration can be read", why.clone()))
        }
        Seen::Present(live) => {
            let (patch, because) = config_patch(&intent.patroni, live);
            if let Some(patch) = patch {
                plan.steps.push(Step { action: Action::PatchPatroniConfig(patch), because });
            }
        }
    }
}

/// The smallest merge patch that brings `live` to `desired`, with reasons.
fn config_patch(desired: &Value, live: &Value) -> (Option<Value>, Vec<Reason>) {
    let mut because = Vec::new();
    let patch = merge_patch(desired, live, "", &mut because);
    (patch, because)
}

fn merge_patch(desired: &Value, live: &Value, path: &str, because: &mut Vec<Reason>) -> Option<Value> {
    if let Value::Object(fields) = desired {
        let mut patch = serde_json::Map::new();
        for (key, value) in fields {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let live = live.get(key).unwrap_or(&Value::Null);
            if let Some(part) = merge_patch(value, live, &below, because) {
                patch.insert(key.clone(), part);
            }
        }
        return (!patch.is_empty()).then_some(Value::Object(patch));
    }
    // Patroni keeps `false` and "not set" apart, the manifest does not (04 §9.2);
    // parameters are texts in the manifest and may be numbers in Patroni.
    let same = desired == live
        || (live.is_null() && matches!(desired, Value::Bool(false) | Value::Null))
        || (live.is_null() && desired == &json!(0))
        // Patroni's own default.
        || (live.is_null() && path == "synchronous_node_count" && desired == &json!(1))
        || (!live.is_null() && text(desired) == text(live));
    if same {
        return None;
    }
    because.push(Reason::new(format!("{path} {live} → {desired}")));
    Some(desired.clone())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn plan_sql(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    if intent.instances == 0 {
        return;
    }
    match &seen.catalog {
        Seen::Present(catalog) => {
            let changes =
                matriarch_sql::differences(&intent.roles, &intent.databases, catalog, &seen.passwords);
            for (statement, because) in changes {
                plan.steps.push(Step::new(Action::Sql(statement), because));
            }
            for secret in intent.roles.iter().filter_map(|role| role.secret.as_ref()) {
                if seen.passwords.get(secret) == Some(&PasswordState::Unknown)
                    && !plan.gates.iter().any(|gate| gate.lane == Lane::Sql)
                {
                    plan.gates.push(Gate::new(
                        Lane::Sql,
                        "all passwords can be compared",
                        format!("the password in Secret {secret} could not be read"),
                    ));
                }
            }
        }
        Seen::Absent => {
            // What the statements will be is known already: an empty catalog is what
            // a new cluster has. They are planned once the primary accepts them.
            let (roles, databases) = (intent.roles.len(), intent.databases.len());
            plan.gates.push(Gate::new(
                Lane::Sql,
                "the primary accepts connections",
                format!("{roles} roles and {databases} databases are to be checked there"),
            ));
        }
        Seen::Unknown(why) => {
            plan.gates.push(Gate::new(Lane::Sql, "the primary accepts connections", why.clone()));
        }
    }
}

fn reasons(desired: &Value, live: &ObjectSeen) -> Vec<Reason> {
    let changed = difference::differences(desired, &live.body, "");
    let abandoned = ownership::abandoned_fields(desired, &live.body);
    changed
        .iter()
        .map(Difference::to_string)
        .chain(abandoned.iter().map(|path| format!("{path} is no longer wanted")))
        .map(Reason::new)
        .collect()
}

/// Ownership proof: the labels that select this cluster's objects.
fn belongs(live: &ObjectSeen, intent: &Intent) -> bool {
    let labels = &live.body["metadata"]["labels"];
    intent.selector.iter().all(|(key, value)| labels[key] == **value)
}

fn foreign(object: &Object, intent: &Intent) -> Refusal {
    let labels = intent.selector.iter().map(|(key, value)| format!("{key}={value}"));
    Refusal {
        what: format!("{} {}", object.kind, object.name),
        because: format!(
            "an object of this name exists and does not carry the labels {}: rename the cluster, \
             remove the object, or label it to hand it over",
            labels.collect::<Vec<_>>().join(",")
        ),
    }
}

fn missing() -> Reason {
    Reason::new("it does not exist")
}

fn apply(object: Object, creates: bool, because: Vec<Reason>) -> Step {
    let ports = !creates
        && object.kind == "Service"
        && because.iter().any(|reason| reason.0.starts_with("spec.ports"));
    let whole_lists = if ports { vec!["ports".to_owned()] } else { Vec::new() };
    Step { action: Action::Apply { object, creates, whole_lists }, because }
}

fn unseen(object: &Object, why: &str) -> Gate {
    Gate::new(Lane::Objects, format!("{} {} can be read", object.kind, object.name), why)
}

/// The key under which an object is observed.
pub fn key_of(object: &Object) -> ObjectKey {
    ObjectKey::new(&object.kind, &object.name)
}
