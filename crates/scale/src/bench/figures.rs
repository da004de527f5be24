//! Figures as a table: one column per number of clusters, and how fast each grows.

use std::collections::BTreeMap;
use std::time::Duration;

use super::change::{Kind, Times};
use crate::audit::Requests;

/// What was measured at one number of clusters.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// From the start until all clusters were compared and found in order.
    pub verified: Duration,
    /// Requests until then.
    pub start_requests: Requests,
    /// CPU seconds until then.
    pub cpu_verified: f64,
    /// CPU seconds of the idle time.
    pub cpu_idle: f64,
    /// CPU seconds of the changes.
    pub cpu_changes: f64,
    /// CPU seconds from the start to the end of the changes.
    pub cpu_all: f64,
    /// Highest resident memory, in MiB.
    pub peak_mib: f64,
    /// Resident memory at the end of the idle time, in MiB.
    pub resident_mib: f64,
    /// Requests while nothing changed.
    pub idle: Requests,
    /// Resyncs that were due meanwhile: clusters × periods.
    pub syncs: u64,
    /// Clusters that were stuck during the changes.
    pub stuck: usize,
    /// Times of the changes.
    pub changes: Times,
}

type Row = (&'static str, fn(&Figures) -> f64);

const ROWS: [Row; 22] = [
    ("start → verified, s", |figures| figures.verified.as_secs_f64()),
    ("  CPU until then, s", |figures| figures.cpu_verified),
    ("  requests until then", |figures| float(figures.start_requests.all_but_watches())),
    ("change → first write p50, ms", |figures| percentile(&figures.changes.all(), 50)),
    ("  p95, ms", |figures| percentile(&figures.changes.all(), 95)),
    ("  p99, ms", |figures| percentile(&figures.changes.all(), 99)),
    ("  members p95, ms", |figures| of(figures, Kind::Members)),
    ("  service p95, ms", |figures| of(figures, Kind::Annotation)),
    ("  patroni p95, ms", |figures| of(figures, Kind::Patroni)),
    ("  changes", |figures| figures.changes.all().len() as f64),
    ("  changes that never arrived", |figures| figures.changes.lost as f64),
    ("  clusters stuck meanwhile", |figures| figures.stuck as f64),
    ("peak resident memory, MiB", |figures| figures.peak_mib),
    ("  at the end of the idle time, MiB", |figures| figures.resident_mib),
    ("CPU of the idle time, s", |figures| figures.cpu_idle),
    ("CPU of the changes, s", |figures| figures.cpu_changes),
    ("CPU in all, s", |figures| figures.cpu_all),
    ("requests per unchanged sync", |figures| per_sync(figures, figures.idle.all_but_watches())),
    ("  get", |figures| per_sync(figures, figures.idle.of("get"))),
    ("  list", |figures| per_sync(figures, figures.idle.of("list"))),
    ("watches begun while idle", |figures| float(figures.idle.of("watch"))),
    ("writes while idle", |figures| float(figures.idle.writes())),
];

/// All figures, with the exponent of the growth between the first and the last number.
pub fn table(all: &BTreeMap<u32, Figures>) -> String {
    let mut head = format!("{:<36}", "clusters");
    all.keys().for_each(|number| head.push_str(&format!("{number:>10}")));
    head.push_str(&format!("{:>10}", "growth"));
    let mut lines = vec![head];
    for (name, figure) in ROWS {
        let values: Vec<(f64, f64)> =
            all.iter().map(|(number, figures)| (f64::from(*number), figure(figures))).collect();
        let mut line = format!("{name:<36}");
        values.iter().for_each(|(_, value)| line.push_str(&format!("{:>10}", shown(*value))));
        if let Some(exponent) = exponent(&values) {
            line.push_str(&format!("{exponent:>10.2}"));
        }
        lines.push(line);
    }
    lines.push("growth: the exponent e of clusters^e between the first and the last column".to_owned());
    lines.join("\n")
}

fn of(figures: &Figures, kind: Kind) -> f64 {
    let mut times = figures.changes.times.get(&kind).cloned().unwrap_or_default();
    times.sort();
    percentile(&times, 95)
}

fn per_sync(figures: &Figures, requests: u64) -> f64 {
    float(requests) / float(figures.syncs).max(1.0)
}

#[allow(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Nearest rank, in milliseconds; of sorted times.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

/// Slope in a doubly logarithmic picture; nothing for a single point or zeros.
fn exponent(values: &[(f64, f64)]) -> Option<f64> {
    let ((x0, y0), (x1, y1)) = (*values.first()?, *values.last()?);
    if x0 == x1 || y0 <= 0.0 || y1 <= 0.0 {
        return None;
    }
    Some((y1 / y0).ln() / (x1 / x0).ln())
}

fn shown(value: f64) -> String {
    match value {
        value if value.fract() == 0.0 => format!("{value:.0}"),
        value if value < 10.0 => format!("{value:.2}"),
        value => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_by_nearest_rank() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        let rounded = |percent| format!("{:.0}", percentile(&times, percent));
        assert_eq!([rounded(50), rounded(95), rounded(99)], ["50", "95", "99"]);
        assert_eq!(percentile(&[], 95), 0.0);
        assert_eq!(percentile(&[Duration::from_millis(7)], 50), 7.0);
    }

    #[test]
    fn growth_is_the_slope_between_first_and_last() {
        let exponent = exponent(&[(100.0, 2.0), (300.0, 99.0), (1000.0, 20.0)]).expect("a slope");
        assert!((exponent - 1.0).abs() < 1e-9);
        assert_eq!(super::exponent(&[(100.0, 2.0)]), None);
        assert_eq!(super::exponent(&[(100.0, 0.0), (300.0, 1.0)]), None);
    }

    #[test]
    fn a_table_has_a_column_per_number() {
        let figures = Figures { verified: Duration::from_millis(1500), ..Figures::default() };
        let later = Figures { verified: Duration::from_secs(15), ..Figures::default() };
        let table = table(&BTreeMap::from([(100, figures), (1000, later)]));
        assert!(
            table.contains("start → verified, s                       1.50        15      1.00"),
            "{table}"
        );
    }
}
