//! What the API server lets us do. An installation of the original grants less than we use; what
//! is missing is said once, with what it costs, and everything else works.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::namespaces::Namespaces;

/// A right that we use beyond those of the original's ClusterRole (02 §9.3), and what we do without.
struct Wish {
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    without: &'static str,
}

const POLLED: &str = "changes by others are noticed at the next look at the cluster, within a minute";
const REPLACED: &str = "it is deleted and made anew instead of changed";

const UNMOVED: &str = "nobody can tell which nodes are being taken away: a drain waits for the primary \
                       until somebody switches over";

const ALONE: &str = "there is no Lease, so that nobody takes over, and a second operator would act as well: \
                     run one only";

/// The group of the Lease, which is in the operator's own namespace.
const LEASES: &str = "coordination.k8s.io";

/// The first ones cost most: an event has no room for all.
const WISHES: [Wish; 27] = [
    wish(LEASES, "leases", "get", ALONE),
    wish(LEASES, "leases", "create", ALONE),
    wish(LEASES, "leases", "update", ALONE),
    wish("apps", "statefulsets", "watch", POLLED),
    wish("", "services", "list", POLLED),
    wish("", "services", "watch", POLLED),
    wish("policy", "poddisruptionbudgets", "list", POLLED),
    wish("policy", "poddisruptionbudgets", "watch", POLLED),
    wish("policy", "poddisruptionbudgets", "patch", REPLACED),
    wish("", "secrets", "watch", POLLED),
    wish("", "pods", "watch", POLLED),
    wish("", "persistentvolumeclaims", "watch", POLLED),
    wish("", "configmaps", "list", POLLED),
    wish("", "configmaps", "watch", POLLED),
    wish("", "endpoints", "watch", POLLED),
    wish("apps", "deployments", "watch", POLLED),
    wish("batch", "cronjobs", "watch", POLLED),
    wish(
        "",
        "secrets",
        "list",
        "Secrets of users that left the manifest are not found when a cluster is deleted, and stay",
    ),
    wish(
        "apps",
        "controllerrevisions",
        "get",
        "a pod's own spec is compared with the template instead of the template it was made from",
    ),
    wish(
        "",
        "pods",
        "create",
        "before the first pod of a new template is replaced, the template is tried as a StatefulSet \
         only: quotas and limits of pods are met when the pod is gone",
    ),
    wish("", "serviceaccounts", "patch", "irsa_role_arn reaches only accounts that are made from now on"),
    wish("", "nodes", "list", UNMOVED),
    wish("", "nodes", "watch", UNMOVED),
    wish("events.k8s.io", "events", "create", "events are written in the older form, core/v1"),
    wish("acid.zalan.do", "postgresqls/status", "patch", "the status of clusters is not written"),
    wish(
        "acid.zalan.do",
        "operatorconfigurations/status",
        "patch",
        "what a change of settings does is told in events and on /readyz, not in conditions",
    ),
    wish(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "patch",
        "the definitions are not updated at start: apply the output of `matriarch crds`",
    ),
];

const fn wish(
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    without: &'static str,
) -> Wish {
    Wish { group, resource, verb, without }
}

/// Whether a request was refused for want of a right. In a namespace that is being deleted nothing
/// new may be made either, and that says nothing about rights.
pub fn is_missing_right(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_forbidden()) && !is_too_late(error)
}

/// Whether a request was refused because its namespace is being deleted.
pub fn is_too_late(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status)
        if status.is_forbidden() && status.message.contains("being terminated"))
}

/// What is not allowed.
#[derive(Clone, Debug, Default)]
pub struct Access {
    missing: BTreeSet<(&'static str, &'static str)>,
}

impl Access {
    /// Asks for each right that we wish for. A question that cannot be answered counts as yes: the
    /// request itself will tell. `lease_in` is the namespace of the Lease, where there is to be one.
    pub async fn ask(client: &Client, namespaces: &Namespaces, lease_in: Option<&str>) -> Self {
        let wishes = WISHES.iter().filter(|wish| wish.group != LEASES || lease_in.is_some());
        let questions = wishes.map(|wish| {
            let namespace = if wish.group == LEASES { lease_in } else { namespaces.first() };
            let namespace = namespace.map(str::to_owned);
            async move { (!is_allowed(client, wish, namespace).await).then_some((wish.resource, wish.verb)) }
        });
        Self { missing: join_all(questions).await.into_iter().flatten().collect() }
    }

    /// Whether `verb` is allowed on `resource`, as far as it was asked for.
    pub fn allows(&self, resource: &str, verb: &str) -> bool {
        !self.missing.iter().any(|missing| *missing == (resource, verb))
    }

    /// Whether objects of this resource can be watched.
    pub fn can_watch(&self, resource: &str) -> bool {
        self.allows(resource, "list") && self.allows(resource, "watch")
    }

    /// What is missing and what is done without it, one line per right.
    pub fn lines(&self) -> Vec<String> {
        let missing = WISHES.iter().filter(|wish| !self.allows(wish.resource, wish.verb));
        missing
            .map(|wish| {
                let group = if wish.group.is_empty() { "core" } else { wish.group };
                format!("may not {} {} ({group}): {}", wish.verb, wish.resource, wish.without)
            })
            .collect()
    }
}

async fn is_allowed(client: &Client, wish: &Wish, namespace: Option<String>) -> bool {
    let (resource, subresource) = wish.resource.split_once('/').unwrap_or((wish.resource, ""));
    let cluster_scoped = matches!(resource, "customresourcedefinitions" | "nodes");
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(wish.group.to_owned()),
                resource: Some(resource.to_owned()),
                subresource: Some(subresource.to_owned()).filter(|text| !text.is_empty()),
                verb: Some(wish.verb.to_owned()),
                namespace: namespace.filter(|_| !cluster_scoped),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    match api.create(&PostParams::default(), &review).await {
        Ok(answer) => answer.status.is_none_or(|status| status.allowed),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_its_cost() {
        let access =
            Access { missing: BTreeSet::from([("secrets", "watch"), ("controllerrevisions", "get")]) };
        assert!(!access.can_watch("secrets"));
        assert!(access.can_watch("services"));
        assert_eq!(
            access.lines(),
            [
                format!("may not watch secrets (core): {POLLED}"),
                "may not get controllerrevisions (apps): a pod's own spec is compared with the template \
                 instead of the template it was made from"
                    .to_owned(),
            ]
        );
    }

    #[test]
    fn a_namespace_that_ends_is_no_missing_right() {
        let refused = |message: &str, reason: &str, code| {
            kube::Error::Api(kube::core::Status::failure(message, reason).with_code(code).boxed())
        };
        let ends = "events \"a\" is forbidden: unable to create new content in namespace n because it is being terminated";
        let right = "events is forbidden: User \"u\" cannot create resource \"events\" in API group \"events.k8s.io\"";
        assert!(!is_missing_right(&refused(ends, "Forbidden", 403)));
        assert!(is_missing_right(&refused(right, "Forbidden", 403)));
        assert!(!is_missing_right(&refused(right, "NotFound", 404)));
    }
}
