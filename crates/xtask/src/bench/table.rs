//! Times as a table: ours, the yardstick, and what lies between them.

use std::time::Duration;

use super::moment::{Moment, Moments};

/// One line per moment that either side saw.
pub fn table(ours: &Moments, bare: &Moments) -> String {
    let mut lines =
        vec![format!("  {:<28}{:>9}{:>9}{:>12}", "seconds since the start", "ours", "bare", "difference")];
    for moment in Moment::ALL {
        let (one, other) = (ours.get(&moment), bare.get(&moment));
        if one.is_none() && other.is_none() {
            continue;
        }
        let difference = one.zip(other).map(|(one, other)| one.as_secs_f64() - other.as_secs_f64());
        let difference = difference.map_or_else(String::new, |seconds| format!("{seconds:+.2}"));
        let line = format!(
            "  {:<28}{:>9}{:>9}{difference:>12}",
            moment.words(),
            shown(one.copied()),
            shown(other.copied())
        );
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// The median of each moment over the rounds.
pub fn medians(rounds: &[Moments]) -> Moments {
    let of = |moment| {
        let times = rounds.iter().filter_map(|round: &Moments| round.get(&moment).copied()).collect();
        Some((moment, median(times)?))
    };
    Moment::ALL.into_iter().filter_map(of).collect()
}

/// The last line: whole times and their ratio.
pub fn verdict(ours: Duration, bare: Duration) -> String {
    format!(
        "manifest → both members streaming, users and database present: {:.2} s; \
         the bare pair streaming: {:.2} s; ratio {:.2}",
        ours.as_secs_f64(),
        bare.as_secs_f64(),
        ours.as_secs_f64() / bare.as_secs_f64().max(0.001)
    )
}

/// Middle of the times; of an even number the mean of the two in the middle.
pub fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort();
    let upper = *times.get(times.len() / 2)?;
    let lower = times[(times.len() - 1) / 2];
    Some((lower + upper) / 2)
}

fn shown(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.2}", time.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(moments: &[(Moment, u64)]) -> Moments {
        moments.iter().map(|(moment, millis)| (*moment, Duration::from_millis(*millis))).collect()
    }

    #[test]
    fn medians_of_odd_even_and_no_rounds() {
        let times = |millis: &[u64]| millis.iter().copied().map(Duration::from_millis).collect();
        assert_eq!(median(times(&[300, 100, 200])), Some(Duration::from_millis(200)));
        assert_eq!(median(times(&[100, 200])), Some(Duration::from_millis(150)));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_table_shows_what_either_side_saw() {
        let ours = round(&[(Moment::Primary, 4200), (Moment::Roles, 5000)]);
        let bare = medians(&[round(&[(Moment::Primary, 4000)])]);
        let table = table(&ours, &bare);
        assert!(table.contains("primary labelled                 4.20     4.00       +0.20"), "{table}");
        assert!(table.ends_with("users and database present       5.00        -"), "{table}");
        assert!(verdict(Duration::from_secs(6), Duration::from_secs(4)).ends_with("ratio 1.50"));
    }
}
