//! Fields that releases before 2.0 spelled otherwise, with the rules of then.

use matriarch_api::Problem;

use super::Cluster;

pub(super) fn old(cluster: &mut Cluster) {
    let spec = &mut cluster.spec;
    let mut ignored = Vec::new();
    let balancers = (spec.use_load_balancer.take(), spec.replica_load_balancer.take());
    if spec.enable_master_load_balancer.is_none() && spec.enable_replica_load_balancer.is_none() {
        (spec.enable_master_load_balancer, spec.enable_replica_load_balancer) = balancers;
    } else {
        ignored.extend(balancers.0.map(|_| ("useLoadBalancer", "enableMasterLoadBalancer")));
        ignored.extend(balancers.1.map(|_| ("replicaLoadBalancer", "enableReplicaLoadBalancer")));
    }
    let containers = spec.old_init_containers.take();
    if spec.init_containers.is_none() {
        spec.init_containers = containers;
    } else {
        ignored.extend(containers.map(|_| ("init_containers", "initContainers")));
    }
    let class = spec.old_pod_priority_class_name.take();
    if spec.pod_priority_class_name.as_deref().unwrap_or_default().is_empty() {
        spec.pod_priority_class_name = class.or(spec.pod_priority_class_name.take());
    } else {
        ignored.extend(class.map(|_| ("pod_priority_class_name", "podPriorityClassName")));
    }
    cluster.notices.extend(ignored.into_iter().map(|(old, new)| {
        Problem::new(
            format!("spec.{old}"),
            format!("is an old spelling and has no effect beside spec.{new} and its kind"),
            "remove it",
        )
    }));
}
