//! Two replicas of the operator: one acts, the other takes over in order, after a crash, and in
//! the middle of a roll-out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use matriarch_e2e::{Cluster, Look, OwnOperator, Scene, wait_until};
use serde_json::json;

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn the_other_replica_takes_over() {
    Scene::run("two_operators", |scene| {
        let operator = OwnOperator::of(scene).replicas(2).start()?;
        let cluster = operator.create("acid-two", 3, "")?;
        cluster.wait_ready()?;
        scene.step(&format!("ready; {} acts", operator.leader()?));

        let seconds = taken_over_after(&operator, End::InOrder)?;
        scene.step(&format!("handed over in order after {seconds:.1} s"));
        operator.wait_for_rollout()?;
        let seconds = taken_over_after(&operator, End::Crash)?;
        scene.step(&format!("taken over after a crash after {seconds:.1} s"));
        operator.wait_for_rollout()?;

        killed_in_a_rollout(&operator, &cluster)?;
        scene.step("the roll-out that one began the other finished, each pod made anew once");
        Ok(())
    });
}

/// How the one that acts ends.
#[derive(Clone, Copy)]
enum End {
    InOrder,
    Crash,
}

/// Seconds from the end of the one that acts until another does.
fn taken_over_after(operator: &OwnOperator, end: End) -> Result<f64> {
    let (pod, holder) = (operator.leader()?, operator.holder()?);
    let began = Instant::now();
    match end {
        End::InOrder => drop(operator.kubectl().run(&["delete", "pod", &pod, "--wait=false"])?),
        End::Crash => operator.crash(&pod)?,
    }
    wait_until("another one acts", 60, || {
        let now = operator.holder()?;
        Ok(Look::when(now != holder, now))
    })?;
    Ok(began.elapsed().as_secs_f64())
}

fn killed_in_a_rollout(operator: &OwnOperator, cluster: &Cluster) -> Result<()> {
    let before = cluster.pods()?;
    let seen = Uids::watch(cluster);
    cluster.patch(&json!({"spec": {"resources": {
        "requests": {"cpu": "60m", "memory": "110Mi"}, "limits": {"cpu": "900m", "memory": "490Mi"},
    }}}))?;
    wait_until("the first pod is being made anew", 60, || {
        let pods = cluster.pods()?;
        let begun = pods.len() < 3 || pods.iter().any(|pod| before.iter().all(|old| old.uid != pod.uid));
        Ok(Look::when(begun, format!("{pods:?}")))
    })?;
    taken_over_after(operator, End::Crash)?;
    cluster.wait_rolled(&before, 300)?;
    for (pod, uids) in seen.stop() {
        ensure!(uids.len() == 2, "{pod} was made anew {} times", uids.len() - 1);
    }
    Ok(())
}

type Seen = BTreeMap<String, BTreeSet<String>>;

/// Every uid that a pod had while it was watched.
struct Uids {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: JoinHandle<()>,
}

impl Uids {
    fn watch(cluster: &Cluster) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (stopped, all, cluster) = (stop.clone(), seen.clone(), cluster.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for pod in cluster.pods().unwrap_or_default() {
                    if let Ok(mut all) = all.lock() {
                        all.entry(pod.name).or_default().insert(pod.uid);
                    }
                }
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        Self { stop, seen, thread }
    }

    fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        self.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }
}

/// It keeps its caches warm, and that is all.
#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn the_one_that_waits_writes_nothing() {
    Scene::run("standby_operator", |scene| {
        let operator = OwnOperator::of(scene).replicas(2).start()?;
        let leader = operator.leader().context("nobody acts")?;
        let cluster = operator.create("acid-standby-operator", 1, "")?;
        cluster.wait_ready()?;
        for pod in operator.kubectl().names("pods", &matriarch_e2e::operator::selector()?)? {
            let log = operator.kubectl().run(&["logs", &pod, "--tail=-1"])?;
            let acts = log.contains("create StatefulSet");
            ensure!(acts == (pod == leader), "{pod} (leader: {leader}):\n{log}");
        }
        Ok(())
    });
}
