//! A client that writes without pause and remembers what was acknowledged.

use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::kubectl::Background;
use crate::psql::{ClientPod, Login};
use crate::wait::{Look, wait_until};

/// Writes rows, each in a transaction and a connection of its own, until it is stopped.
pub struct Writer {
    process: Background,
    acknowledged: Arc<Mutex<Vec<(u64, Instant)>>>,
}

impl Writer {
    /// Makes the table `written` and starts to write into it.
    ///
    /// # Errors
    /// When the table cannot be made or no row is acknowledged within 30 seconds.
    pub fn start(client: &ClientPod, login: &Login) -> Result<Self> {
        client.ask(login, "create table if not exists written (number bigint primary key)")?;
        // A number is never tried twice: whether an unacknowledged row is there is open.
        let script = format!(
            "export PGPASSWORD='{}'; n=0; while [ ! -e /tmp/stop ]; do n=$((n+1)); \
             psql -X -q '{}' -c \"insert into written values ($n)\" >/dev/null 2>&1 \
             && echo $n || sleep 0.2; done",
            login.password,
            login.conninfo()
        );
        let mut child = client.spawn(&script)?;
        let output = child.stdout.take().context("no output")?;
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let heard = acknowledged.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let (Ok(number), Ok(mut all)) = (line.trim().parse(), heard.lock()) {
                    all.push((number, Instant::now()));
                }
            }
        });
        let writer = Self { process: Background(child), acknowledged };
        writer.wait_for_more(30)?;
        Ok(writer)
    }

    /// How many rows were acknowledged so far.
    pub fn count(&self) -> usize {
        self.acknowledged.lock().map_or(0, |all| all.len())
    }

    /// How long nothing could be written, after `since`: when each pause of more than a second
    /// began, and how long it was.
    pub fn pauses(&self, since: Instant) -> Vec<(Duration, Duration)> {
        let all = self.acknowledged.lock().map(|all| all.clone()).unwrap_or_default();
        let times: Vec<Instant> = all.into_iter().map(|(_, at)| at).filter(|at| *at >= since).collect();
        let pauses = times.windows(2).map(|two| (two[0] - since, two[1] - two[0]));
        pauses.filter(|(_, pause)| *pause > Duration::from_secs(1)).collect()
    }

    /// Waits until five more rows are acknowledged.
    ///
    /// # Errors
    /// When they are not in `seconds`.
    pub fn wait_for_more(&self, seconds: u64) -> Result<()> {
        let wanted = self.count() + 5;
        wait_until("the writer's rows are acknowledged", seconds, || {
            Ok(Look::when(self.count() >= wanted, format!("{} of {wanted}", self.count())))
        })
    }

    /// Stops it and checks that every acknowledged row is there; returns how many.
    ///
    /// # Errors
    /// When rows are missing: their numbers; when they cannot be read within 30 seconds.
    pub fn stop_and_check(self, client: &ClientPod, login: &Login) -> Result<usize> {
        // Ending kubectl alone would leave the loop running in the pod.
        client.run("touch /tmp/stop")?;
        drop(self.process);
        // Whether rows are lost is the question here, not whether the primary answers at once.
        let stored = client.ask(login, "select number from written")?;
        let stored: std::collections::BTreeSet<u64> =
            stored.lines().filter_map(|line| line.trim().parse().ok()).collect();
        let all = self.acknowledged.lock().map(|all| all.clone()).unwrap_or_default();
        let lost: Vec<_> =
            all.iter().map(|(number, _)| number).filter(|number| !stored.contains(number)).collect();
        if !lost.is_empty() {
            bail!("{} acknowledged rows are lost: {lost:?}", lost.len());
        }
        Ok(all.len())
    }
}
