//! Lines of the supervisor's log, with the time of day (UTC).

use std::time::{SystemTime, UNIX_EPOCH};

/// One entry.
pub fn note(text: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    println!("{} {text}", time_of_day(now));
}

fn time_of_day(seconds: u64) -> String {
    let seconds = seconds % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::time_of_day;

    #[test]
    fn times() {
        assert_eq!(time_of_day(0), "00:00:00");
        assert_eq!(time_of_day(86_400 * 20_000 + 3_723), "01:02:03");
    }
}
