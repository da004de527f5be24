//! The pods' ServiceAccount and RoleBinding. They serve all clusters of a namespace: made when they
//! are missing, otherwise left alone (03 §10), but for the role of AWS that the account stands for.

use matriarch_cluster::names::IRSA_ANNOTATION;
use matriarch_cluster::{Intent, Object};
use serde_json::{Value, json};

use crate::action::{Action, ObjectPlace, Step};
use crate::objects::{key_of, unseen};
use crate::observation::{ObjectSeen, Observation};
use crate::ownership;
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
            Seen::Absent => plan.steps.push(Step::new(
                Action::CreateOnce(object.clone()),
                format!("namespace {} has none", object.namespace),
            )),
            Seen::Unknown(why) => plan.gates.push(unseen(object, &why)),
        }
    }
}

/// Keeps the role of AWS as the settings name it (02 §3 `irsa_role_arn`). Where they name none, only
/// an annotation goes that we or the original had put there: somebody else's is not ours to remove.
fn plan_cloud_role(account: &Object, live: &ObjectSeen, stays: bool, plan: &mut Plan) {
    let role = |body: &Value| body["metadata"]["annotations"][IRSA_ANNOTATION].clone();
    let (found, wanted) = (role(&live.body), role(&account.body));
    if found == wanted || (wanted.is_null() && !ownership::wrote_annotation(&live.body, IRSA_ANNOTATION)) {
        return;
    }
    let because = match &wanted {
        Value::Null => format!("metadata.annotations.{IRSA_ANNOTATION} is no longer wanted"),
        wanted => format!("metadata.annotations.{IRSA_ANNOTATION} → {wanted}"),
    };
    if stays {
        plan.refusals.push(Refusal {
            what: format!("ServiceAccount {}: {because}", account.name),
            because: "the operator may not patch serviceaccounts; grant it, or set the annotation by hand"
                .to_owned(),
        });
        return;
    }
    let metadata = json!({"annotations": {IRSA_ANNOTATION: wanted}});
    let action = Action::PatchMetadata { object: ObjectPlace::of(account), uid: live.uid.clone(), metadata };
    plan.steps.push(Step::new(action, because));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(wanted: Option<&str>, found: Option<&str>, manager: &str, stays: bool) -> Plan {
        let body = |role: Option<&str>| match role {
            Some(role) => json!({"metadata": {"annotations": {IRSA_ANNOTATION: role}}}),
            None => json!({"metadata": {}}),
        };
        let account = Object {
            kind: "ServiceAccount".to_owned(),
            namespace: "demo".to_owned(),
            name: "postgres-pod".to_owned(),
            body: body(wanted),
            ..Object::default()
        };
        let mut live = body(found);
        let fields = json!({"f:metadata": {"f:annotations": {format!("f:{IRSA_ANNOTATION}"): {}}}});
        live["metadata"]["managedFields"] =
            json!([{"manager": manager, "operation": "Update", "fieldsV1": fields}]);
        let mut plan = Plan::default();
        let live = ObjectSeen { uid: "uid".to_owned(), body: live };
        plan_cloud_role(&account, &live, stays, &mut plan);
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
        let (a, b) = (Some("arn:aws:iam::1:role/a"), Some("arn:aws:iam::1:role/b"));
        let to = |role: Value| Some(json!({ IRSA_ANNOTATION: role }));
        assert_eq!(patch(&planned(a, None, "kubectl", false)), to(json!(a)));
        assert_eq!(patch(&planned(b, a, "kubectl", false)), to(json!(b)));
        assert_eq!(planned(a, a, "kubectl", false), Plan::default());
        assert_eq!(planned(None, None, "kubectl", false), Plan::default());
        for ours in ["matriarch", "matriarch-meta", "postgres-operator", "zalando-operator"] {
            assert_eq!(patch(&planned(None, a, ours, false)), to(Value::Null), "{ours}");
        }
        assert_eq!(planned(None, a, "kubectl", false), Plan::default());
    }

    #[test]
    fn without_the_right_to_patch_accounts_the_role_is_told_and_not_written() {
        let plan = planned(Some("arn:aws:iam::1:role/a"), None, "kubectl", true);
        assert_eq!(plan.steps, vec![]);
        assert!(plan.refusals[0].because.contains("may not patch serviceaccounts"), "{plan}");
    }
}
