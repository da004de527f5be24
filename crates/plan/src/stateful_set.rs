//! The StatefulSet: at which level it is rendered, and what happens to fields that the API server
//! lets nobody change.

use matriarch_cluster::{Intent, LEVEL_ANNOTATION, Level, Object};
use serde_json::{Value, json};

use crate::action::{Action, Lane, Step};
use crate::consequence::Consequence;
use crate::difference::object_differences;
use crate::objects::{self, Comparison, belongs, foreign, going, is_going, key_of, unseen};
use crate::observation::{ObjectSeen, Observation};
use crate::ownership::Part;
use crate::plan::{Gate, Plan, Refusal};
use crate::seen::Seen;
use crate::{lazy, rolling, slots};

/// Creates, corrects or replaces the StatefulSet.
pub fn plan_stateful_set(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    if !intent.unresolved.is_empty() {
        plan.gates.extend(intent.unresolved.iter().map(|unresolved| {
            let until = format!("{} can be followed", unresolved.field);
            Gate { look_again_seconds: 5, ..Gate::new(Lane::Objects, until, unresolved.why.clone()) }
        }));
        return;
    }
    let object = &intent.stateful_set;
    match seen.object(&key_of(object)) {
        Seen::Absent => plan_new(intent, seen, plan),
        Seen::Unknown(why) => plan.gates.push(unseen(object, &why)),
        Seen::Present(live) if !belongs(&live.body, intent) => plan.refusals.push(foreign(object, intent)),
        Seen::Present(live) if is_going(&live.body) => plan.gates.push(going(object)),
        Seen::Present(live) => plan_change(intent, live, seen, plan),
    }
}

/// The StatefulSet at a level, which its annotation tells; at the original's there is none.
fn at(intent: &Intent, level: Level) -> Object {
    let mut object = intent.stateful_set_at(level).clone();
    if level > Level::ORIGINAL {
        object.body["metadata"]["annotations"][LEVEL_ANNOTATION] = json!(level.number().to_string());
    }
    object
}

/// A new cluster gets the newest level. Where pods stand already the StatefulSet was lost or is
/// being replaced: it gets the oldest level that leaves them alone.
fn plan_new(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    let pods = match &seen.pods {
        Seen::Present(pods) => pods.as_slice(),
        Seen::Absent => &[],
        Seen::Unknown(why) => {
            let until = "it is known whether pods are there already";
            plan.gates.push(Gate::new(Lane::Objects, until, why.clone()));
            return;
        }
    };
    let templates: Vec<&Seen<Value>> =
        pods.iter().filter_map(|pod| seen.revisions.get(&pod.revision)).collect();
    if let Some(why) = templates.iter().find_map(|template| template.unknown()) {
        let until = "the templates of the pods are known";
        plan.gates.push(Gate::new(Lane::Objects, until, why));
        return;
    }
    let fits = |object: &Object| {
        let templates = templates.iter().filter_map(|template| template.present());
        templates.clone().count() == pods.len()
            && templates.into_iter().all(|template| {
                let desired = json!({"spec": {"template": object.body["spec"]["template"]}});
                let found =
                    object_differences("StatefulSet", &desired, &json!({"spec": {"template": template}}));
                found.iter().all(|found| found.consequence != Consequence::Recreate)
            })
    };
    let standing =
        Level::all().map(|level| at(intent, level)).find(|object| !pods.is_empty() && fits(object));
    let mut object = standing.unwrap_or_else(|| at(intent, Level::NEWEST));
    let highest = pods.iter().map(|pod| pod.ordinal + 1).max().unwrap_or(0);
    let before = ObjectSeen { uid: String::new(), body: json!({"spec": {"replicas": highest}}) };
    if let Some(gate) = rolling::hold_scale_down(intent, &before, seen, &mut object.body) {
        plan.gates.push(gate);
    }
    plan.steps.push(objects::create(&object));
}

/// What should be there: the level in force, or the newest one when pods are to be made anew for
/// another reason than a repair.
fn in_force(intent: &Intent, live: &Value) -> (Object, Comparison) {
    let level = Level::from_annotation(live["metadata"]["annotations"][LEVEL_ANNOTATION].as_str());
    let object = at(intent, level);
    let comparison = Comparison::of(&object, live, Part::Whole);
    let mut at_once = comparison.clone();
    at_once.differences.retain(|found| !lazy::may_wait(intent, &found.path));
    let asks_for_new_pods = at_once.has(Consequence::Recreate);
    if level == Level::NEWEST || !asks_for_new_pods {
        return (object, comparison);
    }
    let object = at(intent, Level::NEWEST);
    let comparison = Comparison::of(&object, live, Part::Whole);
    (object, comparison)
}

fn plan_change(intent: &Intent, live: &ObjectSeen, seen: &Observation, plan: &mut Plan) {
    let (mut desired, found) = in_force(intent, &live.body);
    keep_forbidden(&mut desired, live, &found, plan);
    slots::remember(intent, &live.body, seen, &mut desired.body);
    if let Some(gate) = rolling::hold_scale_down(intent, live, seen, &mut desired.body) {
        match rolling::switchover_before_scale_down(intent, seen) {
            Ok(step) => {
                plan.gates.push(gate);
                plan.steps.push(step);
            }
            Err(nobody) => plan.gates.push(Gate { because: format!("{}; {nobody}", gate.because), ..gate }),
        }
    }
    let comparison = Comparison::of(&desired, &live.body, Part::Whole);
    if comparison.has(Consequence::Replace) {
        let action = Action::ReplaceStatefulSet { object: desired, uid: live.uid.clone() };
        plan.steps.push(Step::because(action, comparison.reasons()).costing(comparison.worst()));
        return;
    }
    objects::correct(&desired, &live.body, &live.uid, Part::Whole, plan);
}

/// Refuses changes that cannot be made, keeping the live value so that the rest of the change
/// still goes through.
fn keep_forbidden(desired: &mut Object, live: &ObjectSeen, found: &Comparison, plan: &mut Plan) {
    let forbidden = found.differences.iter().filter(|found| found.consequence == Consequence::Forbidden);
    for difference in forbidden {
        plan.refusals.push(Refusal {
            what: format!("StatefulSet {}: {difference}", desired.name),
            because: "put the old value back".to_owned(),
        });
        let field = difference.path.split(['.', '[']).nth(1).unwrap_or_default();
        // Claim templates come back with a status that must not be sent.
        desired.body["spec"][field] = without_status(live.body["spec"][field].clone());
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
