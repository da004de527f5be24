//! The pods' ServiceAccount and RoleBinding. They serve all clusters of a namespace: made when they
//! are missing, otherwise left alone (03 §10), but for the role of AWS that the account stands for.

use matriarch_cluster::names::{IRSA_ANNOTATION, IRSA_WRITTEN_ANNOTATION};
use matriarch_cluster::{Intent, Object};
use serde_json::{Value, json};

use crate::action::{Action, ObjectPlace, Reason, Step};
use crate::objects::{key_of, unseen};
use crate::observation::{ObjectSeen, Observation};
use crate::plan::{Plan, Refusal};
use crate::seen::Seen;

/// Plans both.
pub fn plan_shared(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    for object in [&intent.pod_service_account, &intent.pod_role_binding] {
        match seen.object(&key_of(object)) {
            Seen::Present(live) if object.kind == "ServiceAccount" => {
                plan_cloud_role(object, live, seen.accounts_stay, plan);
            }
            Seen::Present(_) => {}
            Seen::Absent => {
                let because = format!("namespace {} has none", object.namespace);
                plan.steps.push(Step::new(Action::CreateOnce(marked(object)), because));
            }
            Seen::Unknown(why) => plan.gates.push(unseen(object, &why)),
        }
    }
}

/// A new account with the role that we put there.
fn marked(object: &Object) -> Object {
    let mut object = object.clone();
    let role = annotation(&object.body, IRSA_ANNOTATION).clone();
    if object.kind == "ServiceAccount" && !role.is_null() {
        object.body["metadata"]["annotations"][IRSA_WRITTEN_ANNOTATION] = role;
    }
    object
}

fn annotation<'a>(body: &'a Value, name: &str) -> &'a Value {
    &body["metadata"]["annotations"][name]
}

/// Keeps the role of AWS as the settings name it (02 §3 `irsa_role_arn`). Where they name none, only
/// one goes that we had put there: somebody else's is not ours to remove.
fn plan_cloud_role(account: &Object, live: &ObjectSeen, stays: bool, plan: &mut Plan) {
    let (found, wanted) =
        (annotation(&live.body, IRSA_ANNOTATION), annotation(&account.body, IRSA_ANNOTATION));
    let is_ours = annotation(&live.body, IRSA_WRITTEN_ANNOTATION) == found;
    if found == wanted || (wanted.is_null() && !is_ours) {
        return;
    }
    let because = Reason::annotation(IRSA_ANNOTATION, wanted);
    if stays {
        plan.refusals.push(Refusal {
            what: format!("ServiceAccount {}: {because}", account.name),
            because: "the operator may not patch serviceaccounts; grant it, or set the annotation by hand"
                .to_owned(),
        });
        return;
    }
    let metadata = json!({"annotations": {IRSA_ANNOTATION: wanted, IRSA_WRITTEN_ANNOTATION: wanted}});
    let action = Action::PatchMetadata { object: ObjectPlace::of(account), uid: live.uid.clone(), metadata };
    plan.steps.push(Step::because(action, vec![because]));
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "arn:aws:iam::1:role/a";
    const B: &str = "arn:aws:iam::1:role/b";

    fn account(annotations: Value) -> Object {
        Object {
            kind: "ServiceAccount".to_owned(),
            namespace: "demo".to_owned(),
            name: "postgres-pod".to_owned(),
            body: json!({"metadata": {"annotations": annotations}}),
            ..Object::default()
        }
    }

    fn planned(wanted: Value, found: Value, stays: bool) -> Plan {
        let mut plan = Plan::default();
        let live = ObjectSeen { uid: "uid".to_owned(), body: account(found).body };
        plan_cloud_role(&account(wanted), &live, stays, &mut plan);
        plan
    }

    fn patch(plan: &Plan) -> Option<Value> {
        plan.steps.iter().find_map(|step| match &step.action {
            Action::PatchMetadata { metadata, .. } => Some(metadata["annotations"].clone()),
            _ => None,
        })
    }

    #[test]
    fn vectors_02_3_the_role_of_the_pods_account_follows_the_settings() {
        let both = |role: Value| json!({IRSA_ANNOTATION: role, IRSA_WRITTEN_ANNOTATION: role});
        let only = |role: &str| json!({ IRSA_ANNOTATION: role });
        let none = || json!({});
        let to = |wanted: Value, found: Value| patch(&planned(wanted, found, false));
        assert_eq!(to(only(A), none()), Some(both(json!(A))));
        assert_eq!(to(only(B), only(A)), Some(both(json!(B))));
        assert_eq!(to(only(A), only(A)), None, "somebody else's that is right");
        assert_eq!(to(none(), none()), None);
        assert_eq!(to(none(), both(json!(A))), Some(both(Value::Null)));
        assert_eq!(to(none(), only(A)), None, "somebody else's");
        let since = json!({IRSA_ANNOTATION: B, IRSA_WRITTEN_ANNOTATION: A});
        assert_eq!(to(none(), since), None, "somebody else's since");
        assert_eq!(marked(&account(only(A))).body["metadata"]["annotations"], both(json!(A)));
        assert_eq!(marked(&account(none())), account(none()));
    }

    #[test]
    fn without_the_right_to_patch_accounts_the_role_is_told_and_not_written() {
        let plan = planned(json!({ IRSA_ANNOTATION: A }), json!({}), true);
        assert_eq!(plan.steps, vec![]);
        assert!(plan.refusals[0].because.contains("may not patch serviceaccounts"), "{plan}");
    }
}
