//! One namespace with one operator at a time, in which a flow is played again and again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use kube::Client;

use super::flow::{Flow, Lives, needless};
use super::strike::{Moment, Strike};
use super::{Options, proxy, world};
use crate::operator::{Operator, Start};
use crate::stand_in::{Key, StandIn};

/// How long a state may take after all that was done to it: with stand-in pods, and with real ones.
const WITHIN: Duration = Duration::from_secs(75);
const WITHIN_REAL: Duration = Duration::from_secs(300);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(150);
/// A cluster in its state without a write for so long is left alone.
const QUIET: Duration = Duration::from_millis(700);

/// The operators' HTTP interfaces have the ports from here on.
const FIRST_PORT: u16 = 18_080;

/// The lane.
pub struct Lane {
    client: Client,
    stand_in: StandIn,
    strike: Arc<Strike>,
    flow: Flow,
    start: Start,
    real: bool,
    within: Duration,
    operator: Option<Operator>,
    /// The cluster that the next run goes on with.
    cluster: Option<Key>,
    clusters: u32,
    runs: usize,
    /// Objects of a cluster that nobody disturbed.
    expected: Option<BTreeSet<String>>,
}

/// What became of a run.
pub struct Run {
    /// Whether the moment came.
    pub struck: bool,
    /// The operator's writes up to the kill, or all.
    pub writes: Vec<String>,
    /// From the change to the state.
    pub took: Duration,
}

impl Lane {
    /// A lane with its namespace and its way through a proxy of its own.
    pub async fn new(
        client: &Client,
        stand_in: &StandIn,
        options: &Options,
        flow: Flow,
        number: u16,
    ) -> Result<Self> {
        let (name, port) = (format!("crash-{}-{number}", flow.word()), FIRST_PORT + number);
        let strike = Arc::new(Strike::new());
        let identity = if options.real { "admin" } else { "operator" };
        let kubeconfig = proxy::start(&options.state, identity, &name, Arc::clone(&strike)).await?;
        world::namespace(client, &name, options.real).await?;
        stand_in.strike_in(&name, Arc::clone(&strike));
        let start = Start {
            program: options.operator.clone(),
            kubeconfig,
            port,
            namespace: name.clone(),
            watched: name.clone(),
            // Its next one need not wait until the killed one's Lease has run out.
            lease: "none",
            // Elsewhere there is another operator, which leaves such clusters alone.
            controller_id: if options.real { name.clone() } else { String::new() },
            databases: options.real,
            log: options.state.join(format!("logs/{name}.log")),
        };
        Ok(Self {
            client: client.clone(),
            stand_in: stand_in.clone(),
            strike,
            flow,
            start,
            real: options.real,
            within: if options.real { WITHIN_REAL } else { WITHIN },
            operator: None,
            cluster: None,
            clusters: 0,
            runs: 0,
            expected: None,
        })
    }

    /// Makes the change of a turn, with a kill at the moment, and looks at what becomes of it.
    ///
    /// # Errors
    /// When the cluster does not come to its state, or with a restart that nobody needed.
    pub async fn run(&mut self, turn: usize, moment: Option<Moment>) -> Result<Run> {
        let key = self.prepare(turn).await?;
        let before = self.lives(&key).await?;
        let begin = Instant::now();
        let process = self.running().await?;
        self.runs += 1;
        self.strike.arm(process, moment);
        match self.flow {
            Flow::Create => self.hand_in(&key, self.flow.members(turn)).await?,
            Flow::Delete => world::delete(&self.client, &key).await?,
            _ => world::edit(&self.client, &key, &self.flow.change(turn, self.runs)).await?,
        }
        let (struck, writes) = self.until_settled(&key, turn).await?;
        let took = begin.elapsed();
        self.judge(&key, &before, turn).await?;
        if self.flow == Flow::Delete {
            self.cluster = None;
        }
        Ok(Run { struck, writes, took })
    }

    /// After a failure nothing of the lane is trusted any more.
    pub async fn abandon(&mut self) {
        self.strike.disarm();
        if let Some(operator) = self.operator.take() {
            operator.stop().await;
        }
        self.cluster = None;
    }

    /// The cluster in the state from which the turn begins.
    async fn prepare(&mut self, turn: usize) -> Result<Key> {
        if self.flow == Flow::Create {
            self.make_room().await?;
            if let Some(operator) = self.operator.take() {
                operator.stop().await;
            }
            world::without_account(&self.client, &self.start.namespace).await?;
        }
        let known = self.cluster.clone().filter(|_| self.flow.begins_with_a_cluster());
        let key = match known {
            Some(key) => key,
            None => self.begin().await?,
        };
        if self.flow == Flow::Switchover && self.flow.is_measured(turn) {
            self.last_member_leads(&key).await?;
        }
        Ok(key)
    }

    /// The cluster of the last run goes before the next one comes: its writes are not what is counted.
    async fn make_room(&mut self) -> Result<()> {
        let Some(key) = self.cluster.take() else { return Ok(()) };
        self.running().await?;
        world::delete(&self.client, &key).await?;
        let begin = Instant::now();
        while let Some(left) = world::left(&self.client, &key).await? {
            if begin.elapsed() > self.within {
                bail!("the cluster of the last run does not go: {left}\n{}", self.last_words());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// A new cluster; for a creation only its name.
    async fn begin(&mut self) -> Result<Key> {
        self.clusters += 1;
        let key = (self.start.namespace.clone(), format!("acid-r{:03}", self.clusters));
        if self.flow.begins_with_a_cluster() {
            let members = self.flow.members_before();
            self.running().await?;
            self.hand_in(&key, members).await?;
            let begin = Instant::now();
            while let Some(why) = world::awaited(&self.client, &key, members, None).await? {
                if begin.elapsed() > self.within {
                    bail!("a cluster to begin with does not come up: {why}\n{}", self.last_words());
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        self.cluster = Some(key.clone());
        Ok(key)
    }

    /// The member that the next change takes away leads, and the operator has seen it.
    async fn last_member_leads(&self, key: &Key) -> Result<()> {
        let last = format!("{}-2", key.1);
        if self.stand_in.cluster(key).and_then(|cluster| cluster.leader).as_ref() != Some(&last) {
            self.stand_in.switch_over(key, &last).map_err(anyhow::Error::msg)?;
        }
        let begin = Instant::now();
        while world::awaited(&self.client, key, 3, None).await?.is_some() {
            if begin.elapsed() > self.within {
                bail!("no calm after a switchover by hand\n{}", self.last_words());
            }
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(QUIET).await;
        Ok(())
    }

    /// The process of the operator, which is started unless it runs.
    async fn running(&mut self) -> Result<i32> {
        if let Some(operator) = &self.operator {
            return Ok(operator.process());
        }
        let operator = self.start.start()?;
        let begin = Instant::now();
        while !operator.is_ready().await {
            operator.usage()?;
            if begin.elapsed() > self.within {
                bail!("the operator does not become ready\n{}", operator.last_words());
            }
            tokio::time::sleep(LOOK).await;
        }
        let process = operator.process();
        self.operator = Some(operator);
        Ok(process)
    }

    /// Waits for the state and for calm; starts another operator when this one was killed.
    async fn until_settled(&mut self, key: &Key, turn: usize) -> Result<(bool, Vec<String>)> {
        let (begin, mut changed) = (Instant::now(), Instant::now());
        let mut written = 0;
        let mut struck = None;
        loop {
            if struck.is_none() && self.strike.has_struck() {
                struck = Some(self.strike.disarm());
                if let Some(operator) = self.operator.take() {
                    operator.killed().await;
                }
                self.running().await?;
                let process = self.operator.as_ref().map(Operator::process).unwrap_or_default();
                self.strike.arm(process, None);
            }
            let why = self.awaited(key, turn).await?;
            let now = self.strike.count();
            if why.is_some() || now != written {
                (changed, written) = (Instant::now(), now);
            }
            if changed.elapsed() >= QUIET {
                let writes = self.strike.disarm();
                return Ok((struck.is_some(), struck.unwrap_or(writes)));
            }
            if begin.elapsed() > self.within {
                let why = why.unwrap_or_else(|| "the operator does not stop writing".to_owned());
                bail!("not settled after {:?}: {why}\n{}", self.within, self.last_words());
            }
            if let Some(operator) = self.operator.as_ref().filter(|_| !self.strike.has_struck())
                && operator.usage().is_err()
                && !self.strike.has_struck()
            {
                bail!("the operator ended by itself\n{}", operator.last_words());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn awaited(&self, key: &Key, turn: usize) -> Result<Option<String>> {
        if self.flow == Flow::Delete {
            return world::left(&self.client, key).await;
        }
        let change = self.flow.change(turn, self.runs);
        let cpu = change["spec"]["resources"]["requests"]["cpu"].as_str();
        world::awaited(&self.client, key, self.flow.members(turn), cpu).await
    }

    /// The objects are those of a cluster that nobody disturbed, and no pod was made in vain.
    async fn judge(&mut self, key: &Key, before: &Lives, turn: usize) -> Result<()> {
        let wrong = needless(self.flow, before, &self.lives(key).await?, self.flow.members(turn), turn);
        if !wrong.is_empty() {
            bail!("{}", wrong.join(", "));
        }
        if self.flow == Flow::Create {
            let objects = world::objects(&self.client, key).await?;
            let expected = self.expected.get_or_insert_with(|| objects.clone());
            if *expected != objects {
                let missing: Vec<&String> = expected.difference(&objects).collect();
                let more: Vec<&String> = objects.difference(expected).collect();
                bail!("objects differ: missing {missing:?}, too many {more:?}");
            }
        }
        Ok(())
    }

    async fn lives(&self, key: &Key) -> Result<Lives> {
        let mut lives = self.stand_in.lives(key);
        if self.real {
            lives.transitions = world::transitions(&self.client, key).await?;
        }
        Ok(lives)
    }

    async fn hand_in(&self, key: &Key, members: u32) -> Result<()> {
        world::hand_in(&self.client, key, members, &self.start.controller_id).await
    }

    fn last_words(&self) -> String {
        self.operator.as_ref().map(Operator::last_words).unwrap_or_default()
    }
}
