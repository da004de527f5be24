//! The operator is killed in the middle of creating a cluster; after its restart the
//! cluster completes.

use anyhow::ensure;
use matriarch_e2e::{ClientPod, Cluster, Look, Scene, operator, wait_until};

#[test]
fn creation_completes_after_the_operator_was_killed() {
    Scene::run("operator_restart", |scene| {
        let kubectl = &scene.kubectl;
        operator::wait_for_rollout()?;
        let before = operator::pods()?;
        let cluster = Cluster::create(kubectl, "acid-restart", 2, "")?;
        wait_until("the creation has begun", 60, || {
            let services = kubectl.names("services", "cluster-name=acid-restart")?;
            Ok(Look::when(!services.is_empty(), "no Service yet"))
        })?;
        operator::kill()?;
        scene.step("the operator was killed with the first Service there");
        ensure!(cluster.status_word()? != "Running", "too late: the cluster was complete");

        operator::wait_for_rollout()?;
        ensure!(operator::pods()? != before, "the operator's pod is the old one");
        cluster.wait_ready()?;
        scene.step("the cluster is complete");
        let client = ClientPod::start(kubectl, None)?;
        let login = cluster.login("zalando", "foo")?;
        let answer = client.ask(&login, "select current_user, current_database()")?;
        ensure!(answer == "zalando|foo", "not user and database: {answer}");
        cluster.wait_settled(60)
    });
}
