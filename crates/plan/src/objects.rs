//! Kubernetes objects that are rendered: created when missing, corrected where they differ,
//! removed when they were switched off.

use std::borrow::Cow;

use matriarch_cluster::{Intent, Object, Pooler};
use serde_json::{Value, json};

use crate::action::{Action, Lane, ObjectPlace, Reason, Step};
use crate::consequence::{self, Consequence};
use crate::difference::{self, Difference};
use crate::observation::{ObjectKey, ObjectSeen, Observation};
use crate::ownership::{self, Part};
use crate::plan::{Gate, Plan, Refusal};
use crate::seen::Seen;

/// What differs between a rendered object and the live one.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Rendered fields that are missing or mean something else.
    pub differences: Vec<Difference>,
    /// Fields that we or a predecessor wrote and that are not rendered any more.
    pub abandoned: Vec<Difference>,
}

impl Comparison {
    /// Compares them; `live` is the whole object or, for [`Part::Metadata`], at least its metadata.
    pub fn of(object: &Object, live: &Value, part: Part) -> Self {
        let desired = rendered(object, part);
        let abandon = |path: String| {
            let mut gone =
                Difference { path, from: json!("..."), to: Value::Null, consequence: Consequence::None };
            gone.consequence = consequence::of(&object.kind, &gone);
            gone
        };
        let abandoned = ownership::abandoned_fields(&desired, live, part);
        Self {
            differences: difference::object_differences(&object.kind, &desired, live),
            abandoned: abandoned.into_iter().map(abandon).collect(),
        }
    }

    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        self.differences.is_empty() && self.abandoned.is_empty()
    }

    /// Whether some difference has this consequence.
    pub fn has(&self, consequence: Consequence) -> bool {
        self.differences.iter().chain(&self.abandoned).any(|found| found.consequence == consequence)
    }

    /// The most that a difference costs, among those that can be made to go away.
    pub fn worst(&self) -> Consequence {
        let all = self.differences.iter().chain(&self.abandoned).map(|found| found.consequence);
        all.filter(|consequence| *consequence != Consequence::Forbidden).max().unwrap_or_default()
    }

    /// One reason per difference.
    pub fn reasons(&self) -> Vec<Reason> {
        let gone = self.abandoned.iter();
        let gone = gone.map(|gone| format!("{} is no longer wanted{}", gone.path, gone.consequence));
        self.differences.iter().map(Difference::to_string).chain(gone).map(Reason).collect()
    }

    /// Lists of `spec` that must be set as a whole: see [`Action::Apply`].
    fn whole_lists(&self, kind: &str) -> Vec<String> {
        let ports =
            kind == "Service" && self.differences.iter().any(|found| found.path.starts_with("spec.ports"));
        if ports { vec!["ports".to_owned()] } else { Vec::new() }
    }
}

/// The rendered part of an object.
fn rendered(object: &Object, part: Part) -> Cow<'_, Value> {
    match part {
        Part::Whole => Cow::Borrowed(&object.body),
        Part::Metadata => Cow::Owned(json!({
            "apiVersion": object.api_version, "kind": object.kind, "metadata": object.body["metadata"],
        })),
    }
}

/// Whether an object's labels must show that it is ours before it is touched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The labels that select the cluster's objects.
    Labels,
    /// The name alone: the contract takes over what stands there.
    Name,
}

/// Creates, corrects or refuses one object.
pub fn plan_object(object: &Object, proof: Proof, intent: &Intent, seen: &Observation, plan: &mut Plan) {
    match seen.object(&key_of(object)) {
        Seen::Absent => plan.steps.push(create(object)),
        Seen::Unknown(why) => plan.gates.push(unseen(object, &why)),
        Seen::Present(live) if proof == Proof::Labels && !belongs(&live.body, intent) => {
            plan.refusals.push(foreign(object, intent))
        }
        Seen::Present(live) if is_going(&live.body) => plan.gates.push(going(object)),
        Seen::Present(live) => correct(object, &live.body, &live.uid, Part::Whole, plan),
    }
}

/// The step that creates an object.
pub fn create(object: &Object) -> Step {
    let action = Action::Apply { object: object.clone(), creates: true, whole_lists: Vec::new() };
    Step::new(action, "it does not exist")
}

/// Brings a live object to what is rendered. Fields of a predecessor become ours first, once.
pub fn correct(object: &Object, live: &Value, uid: &str, part: Part, plan: &mut Plan) {
    let comparison = Comparison::of(object, live, part);
    let mut because = comparison.reasons();
    because.extend(take_over(object, live, part, !comparison.is_empty(), plan));
    if because.is_empty() {
        return;
    }
    if comparison.has(Consequence::Replace) {
        let action = Action::Replace { object: ObjectPlace::of(object), uid: uid.to_owned() };
        plan.steps.push(Step::because(action, because).costing(comparison.worst()));
        return;
    }
    let mut object = Object { body: rendered(object, part).into_owned(), ..object.clone() };
    if part == Part::Metadata {
        // Only the object that was seen: an apply would make a new one without its content.
        object.body["metadata"]["uid"] = json!(uid);
    }
    let whole_lists = comparison.whole_lists(&object.kind);
    let action = Action::Apply { object, creates: false, whole_lists };
    plan.steps.push(Step::because(action, because).costing(comparison.worst()));
}

/// Makes the fields of a predecessor ours, and says whose they were.
fn take_over(object: &Object, live: &Value, part: Part, changes: bool, plan: &mut Plan) -> Option<Reason> {
    let transfer = ownership::transfer(live, part, changes)?;
    let owners = transfer.managers.join(" and ");
    let action = Action::AdoptFields {
        object: ObjectPlace::of(object),
        resource_version: text(&live["metadata"]["resourceVersion"]),
        managers: transfer.managers,
        managed_fields: transfer.managed_fields,
    };
    let reason = format!("its fields belong to {owners}: what is left out would stay");
    plan.steps.push(Step::new(action, reason));
    Some(Reason::new(format!("its fields are taken over from {owners}")))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Endpoints that Patroni fills: made once, then only their metadata is looked after. Replacing
/// them would wipe Patroni's lock (03 D29).
pub fn plan_endpoints(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    for object in &intent.endpoints {
        match seen.object(&key_of(object)) {
            Seen::Absent => {
                let object = with_addresses(object, intent, seen);
                plan.steps.push(Step::new(Action::CreateOnce(object), "it does not exist"));
            }
            Seen::Unknown(why) => plan.gates.push(unseen(object, &why)),
            Seen::Present(live) if !belongs(&live.body, intent) => {
                plan.refusals.push(foreign(object, intent))
            }
            Seen::Present(live) => correct(object, &live.body, &live.uid, Part::Metadata, plan),
        }
    }
}

/// New Endpoints of a cluster that runs point to its pods at once (03 §7).
fn with_addresses(object: &Object, intent: &Intent, seen: &Observation) -> Object {
    let is_primary = object.name == intent.identity.name;
    let role = if is_primary { "master" } else { "replica" };
    let pods = seen.pods.present().into_iter().flatten();
    let addresses: Vec<Value> = pods
        .filter(|pod| pod.role_label.as_deref() == Some(role))
        .filter_map(|pod| Some(json!({"ip": pod.ip.as_ref()?})))
        .take(if is_primary { 1 } else { usize::MAX })
        .collect();
    let mut object = object.clone();
    if !addresses.is_empty() {
        let ports = json!([{"name": "postgresql", "port": 5432, "protocol": "TCP"}]);
        object.body["subsets"] = json!([{"addresses": addresses, "ports": ports}]);
    }
    object
}

/// A pooler's objects. The contract takes over what stands under their names.
pub fn plan_pooler(pooler: &Pooler, intent: &Intent, seen: &Observation, plan: &mut Plan) {
    plan_user_list(pooler, seen, plan);
    for object in [&pooler.service, &pooler.deployment] {
        plan_object(object, Proof::Name, intent, seen, plan);
    }
}

fn plan_user_list(pooler: &Pooler, seen: &Observation, plan: &mut Plan) {
    let object = &pooler.user_list;
    let write = |creates| Action::WriteUserList { pooler: Box::new(pooler.clone()), creates };
    match seen.object(&key_of(object)) {
        Seen::Absent => plan.steps.push(Step::new(write(true), "it does not exist")),
        Seen::Unknown(why) => plan.gates.push(unseen(object, &why)),
        Seen::Present(live) => {
            let comparison = Comparison::of(object, &live.body, Part::Metadata);
            let mut because = comparison.reasons();
            match seen.user_lists.get(&object.name) {
                Some(Seen::Present(true)) => {}
                Some(Seen::Unknown(why)) => plan.gates.push(unseen(object, why)),
                _ => because.push(Reason::new("its content is not that of the credentials")),
            }
            // A list that a predecessor wrote would stay for ever when the pooler is switched off.
            because.extend(take_over(object, &live.body, Part::Metadata, !comparison.is_empty(), plan));
            if !because.is_empty() {
                plan.steps.push(Step::because(write(false), because));
            }
        }
    }
}

/// Streams are known by their application; an existing one keeps its name (03 §13).
pub fn plan_streams(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    let live = match &seen.streams {
        Seen::Present(live) => live,
        Seen::Unknown(why) => {
            if let Some(stream) = intent.streams.first() {
                plan.gates.push(unseen(stream, why));
            }
            return;
        }
        Seen::Absent => {
            if !intent.streams.is_empty() {
                plan.refusals.push(Refusal {
                    what: "spec.streams".to_owned(),
                    because: "the kind FabricEventStream (zalando.org/v1) is not installed here".to_owned(),
                });
            }
            return;
        }
    };
    let application = |body: &Value| body["spec"]["applicationId"].clone();
    for stream in &intent.streams {
        match live.iter().find(|live| application(&live.body) == application(&stream.body)) {
            None => plan.steps.push(create(stream)),
            Some(twin) => {
                let mut stream = stream.clone();
                stream.name = text(&twin.body["metadata"]["name"]);
                stream.body["metadata"]["name"] = json!(stream.name);
                correct(&stream, &twin.body, &twin.uid, Part::Whole, plan);
            }
        }
    }
    let is_wanted =
        |live: &ObjectSeen| intent.streams.iter().any(|s| application(&s.body) == application(&live.body));
    for stream in live.iter().filter(|live| !is_wanted(live) && !is_going(&live.body)) {
        let key = ObjectKey::new("FabricEventStream", &text(&stream.body["metadata"]["name"]));
        let because = format!("spec.streams does not name application {}", application(&stream.body));
        plan.steps.push(Step::new(Action::Delete { key, uid: stream.uid.clone() }, because));
    }
}

/// What was switched off: removed when it was seen and is ours.
pub fn plan_unwanted(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    for unwanted in &intent.unwanted {
        let key = ObjectKey::new(&unwanted.kind, &unwanted.name);
        match seen.object(&key) {
            Seen::Absent => {}
            Seen::Unknown(why) => {
                let until = format!("{} {} can be read", key.kind, key.name);
                plan.gates.push(Gate::new(Lane::Cleanup, until, why));
            }
            // Credentials that a predecessor left are somebody's: only what we looked after goes.
            Seen::Present(live) if key.kind == "Secret" && !ownership::is_looked_after(&live.body) => {}
            Seen::Present(live) if belongs(&live.body, intent) && !is_going(&live.body) => {
                let uid = live.uid.clone();
                plan.steps.push(Step::new(Action::Delete { key, uid }, unwanted.because.clone()));
            }
            Seen::Present(_) => {}
        }
    }
}

/// Ownership proof: the labels that select this cluster's objects. `application` tells poolers and
/// backups from databases and is not asked for.
pub fn belongs(live: &Value, intent: &Intent) -> bool {
    let labels = &live["metadata"]["labels"];
    let proof = intent.selector.iter().filter(|(key, _)| *key != "application" || intent.selector.len() == 1);
    proof.into_iter().all(|(key, value)| labels[key] == **value)
}

/// Whether an object is on its way out.
pub fn is_going(live: &Value) -> bool {
    !live["metadata"]["deletionTimestamp"].is_null()
}

/// The wait for an object that is on its way out.
pub fn going(object: &Object) -> Gate {
    let until = format!("the old {} {} is gone", object.kind, object.name);
    Gate::new(Lane::Objects, until, "it is terminating")
}

/// The refusal of somebody else's object.
pub fn foreign(object: &Object, intent: &Intent) -> Refusal {
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

/// The wait for an object that cannot be read.
pub fn unseen(object: &Object, why: &str) -> Gate {
    Gate::new(Lane::Objects, format!("{} {} can be read", object.kind, object.name), why)
}

/// The key under which an object is observed.
pub fn key_of(object: &Object) -> ObjectKey {
    ObjectKey::new(&object.kind, &object.name)
}
