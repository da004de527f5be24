//! Credentials: Secrets are made with a password and keep it; only their metadata is corrected.

use matriarch_cluster::{CredentialSecret, Intent};
use serde_json::json;

use crate::action::{Action, Step};
use crate::objects::{self, unseen};
use crate::observation::{Observation, SecretSeen};
use crate::ownership::Part;
use crate::plan::{Plan, Refusal};
use crate::seen::Seen;

/// Creates missing Secrets, and corrects the metadata of the others.
pub fn plan_secrets(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    for secret in &intent.secrets {
        match seen.secrets.get(&secret.object.name).unwrap_or(&Seen::default()) {
            Seen::Absent => plan.steps.push(Step::new(
                Action::CreateSecret(secret.clone()),
                format!("role {} has no Secret", secret.username),
            )),
            Seen::Unknown(why) => plan.gates.push(unseen(&secret.object, why)),
            Seen::Present(live) => match refusal(secret, live) {
                Some(refusal) => plan.refusals.push(refusal),
                None => plan_present(secret, live, plan),
            },
        }
    }
}

fn refusal(secret: &CredentialSecret, live: &SecretSeen) -> Option<Refusal> {
    let what = format!("Secret {} for role {}", secret.object.name, secret.username);
    if live.username != secret.username {
        let because = format!(
            "it holds the credentials of {}; role names that differ only in _ and - share a Secret \
             name: rename one of them",
            live.username
        );
        return Some(Refusal { what, because });
    }
    let empty = "its password is empty: set data.password, or delete the Secret to have one generated";
    (!live.has_password).then(|| Refusal { what, because: empty.to_owned() })
}

fn plan_present(secret: &CredentialSecret, live: &SecretSeen, plan: &mut Plan) {
    if live.follows == Some(false) {
        let because = "the password changed where it comes from";
        plan.steps.push(Step::new(Action::CopyPassword(secret.clone()), because));
    }
    if live.metadata.is_null() {
        return;
    }
    let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": live.metadata});
    objects::correct(&secret.object, &body, &live.uid, Part::Metadata, plan);
}
