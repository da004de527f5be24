//! Clusters that cannot come to their state, in three ways.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::api::DeleteParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::fleet::create;
use crate::stand_in::Key;

/// One cluster of so many is stuck.
const ONE_OF: u32 = 20;
/// Name of the admission policy and its binding.
const POLICY: &str = "bench-refuses";
/// The API server takes a policy into use within seconds.
const IN_FORCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Why a cluster does not come to its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// Its next pod fits on no node.
    Unschedulable,
    /// Patroni accepts connections and does not answer.
    Silent,
    /// The API server refuses its StatefulSet.
    Refused,
}

impl Stuck {
    /// How the cluster with this index is stuck, if it is.
    pub fn of(index: u32) -> Option<Self> {
        if index % ONE_OF != 7 {
            return None;
        }
        Some(match index / ONE_OF % 3 {
            0 => Self::Unschedulable,
            1 => Self::Silent,
            _ => Self::Refused,
        })
    }

    /// What is changed in its manifest, so that there is something to do.
    pub fn change(self, members: u32) -> Value {
        match self {
            Self::Unschedulable => json!({"spec": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "bench/nowhere", "operator": "Exists"}]}]}}}}),
            Self::Silent | Self::Refused => json!({"spec": {"numberOfInstances": members + 1}}),
        }
    }
}

/// A manifest as it was made.
pub fn nothing(members: u32) -> Value {
    json!({"spec": {
        "nodeAffinity": null, "numberOfInstances": members, "masterServiceAnnotations": null, "patroni": null,
    }})
}

/// From now on the API server refuses the StatefulSets of those.
pub async fn refuse(client: &Client, stuck: &BTreeMap<Key, Stuck>) -> Result<()> {
    let names: Vec<&str> =
        stuck.iter().filter(|(_, how)| **how == Stuck::Refused).map(|(key, _)| key.1.as_str()).collect();
    let policy = json!({
        "metadata": {"name": POLICY},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                "resources": ["statefulsets"]}]},
            "validations": [{
                "expression": format!("!(object.metadata.name in {})", json!(names)),
                "message": "the benchmark refuses this StatefulSet"}],
        },
    });
    let binding =
        json!({"metadata": {"name": POLICY}, "spec": {"policyName": POLICY, "validationActions": ["Deny"]}});
    create::<ValidatingAdmissionPolicy>(&Api::all(client.clone()), policy).await?;
    create::<ValidatingAdmissionPolicyBinding>(&Api::all(client.clone()), binding).await?;
    tokio::time::sleep(IN_FORCE).await;
    Ok(())
}

/// It accepts everything again.
pub async fn accept(client: &Client) -> Result<()> {
    let parameters = DeleteParams::default();
    Api::<ValidatingAdmissionPolicyBinding>::all(client.clone()).delete(POLICY, &parameters).await?;
    Api::<ValidatingAdmissionPolicy>::all(client.clone()).delete(POLICY, &parameters).await?;
    tokio::time::sleep(IN_FORCE).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_of_a_hundred_are_stuck_in_turn() {
        let stuck: Vec<Stuck> = (0..1000).filter_map(Stuck::of).collect();
        assert_eq!(stuck.len(), 50);
        for how in [Stuck::Unschedulable, Stuck::Silent, Stuck::Refused] {
            assert!(stuck.iter().filter(|one| **one == how).count() >= 16);
        }
        assert_eq!((0..100).filter_map(Stuck::of).count(), 5);
    }
}
