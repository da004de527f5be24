//! `irsa_role_arn` changes while a cluster lives: the account of its pods follows, no pod restarts, and
//! what somebody else wrote there stays.

use anyhow::{Result, ensure};
use matriarch_e2e::own_operator::OwnOperator;
use matriarch_e2e::{Look, Pod, Scene, wait_until};

const ROLE: &str = "arn:aws:iam::123456789012:role/backups";
const BY_HAND: &str = "arn:aws:iam::123456789012:role/by-hand";

#[test]
fn the_role_of_the_pods_account_follows_the_settings() {
    Scene::run("cloud_role", |scene| {
        let own = OwnOperator::of(scene).start()?;
        let cluster = own.create("acid-role", 1, "")?;
        cluster.wait_settled(120)?;
        let before = cluster.pods()?;
        ensure!(role(scene)?.is_empty(), "the account has a role from the beginning: {}", role(scene)?);

        own.set(&[("irsa_role_arn", Some(ROLE))])?;
        wait_for(scene, ROLE)?;
        scene.step("an account that existed got the role");
        own.set(&[("irsa_role_arn", None)])?;
        wait_for(scene, "")?;
        scene.step("and lost it again");

        let by_hand = format!("eks.amazonaws.com/role-arn={BY_HAND}");
        scene.kubectl.run(&["annotate", "serviceaccount/postgres-pod", &by_hand])?;
        cluster.patch(&serde_json::json!({"spec": {"databases": {"after": "zalando"}}}))?;
        wait_until("the cluster is looked at again", 60, || {
            let there =
                cluster.sql("postgres", "select count(*) from pg_database where datname = 'after'")?;
            Ok(Look::when(there == "1", there))
        })?;
        ensure!(role(scene)? == BY_HAND, "somebody else's role is {:?} now", role(scene)?);
        ensure!(Pod::uids(&cluster.pods()?) == Pod::uids(&before), "a pod was made anew");
        Ok(())
    });
}

fn role(scene: &Scene) -> Result<String> {
    let path = r"jsonpath={.metadata.annotations.eks\.amazonaws\.com/role-arn}";
    scene.kubectl.run(&["get", "serviceaccount/postgres-pod", "-o", path])
}

fn wait_for(scene: &Scene, wanted: &str) -> Result<()> {
    wait_until("the account has the role", 60, || {
        let found = role(scene)?;
        Ok(Look::when(found == wanted, found))
    })
}
