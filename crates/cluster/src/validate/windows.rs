//! Maintenance windows: `Sat:01:00-06:00`, or `01:00-06:00` for every day. Times are UTC, the end
//! is not before the start, and the minute of the end belongs to the window.

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// One window: the day it is for, none for every day, with its first and last minute.
struct Window<'a> {
    day: Option<&'a str>,
    from: u32,
    to: u32,
}

/// Checks one window. The error says what is wrong.
pub(super) fn check(text: &str) -> Result<(), String> {
    parse(text).map(|_| ())
}

/// Whether a window holds a minute since midnight of a weekday (0 is Sunday); one that cannot be
/// read holds none.
pub(super) fn holds(text: &str, weekday: usize, minute: u32) -> bool {
    parse(text).is_ok_and(|window| {
        let today = window.day.is_none_or(|day| DAYS.get(weekday) == Some(&day));
        today && (window.from..=window.to).contains(&minute)
    })
}

fn parse(text: &str) -> Result<Window<'_>, String> {
    let (start, end) = text.trim().split_once('-').ok_or("has no dash between start and end")?;
    let mut of_day = None;
    let start = match start.split(':').count() {
        3 => {
            let (day, time) = start.split_once(':').unwrap_or_default();
            if !DAYS.contains(&day) {
                return Err(format!("has the unknown day {day:?}"));
            }
            of_day = Some(day);
            time
        }
        _ => start,
    };
    let (from, to) = (minutes(start)?, minutes(end)?);
    if to < from {
        return Err("ends before it starts".to_owned());
    }
    Ok(Window { day: of_day, from, to })
}

/// Minutes since midnight.
fn minutes(text: &str) -> Result<u32, String> {
    let wrong = || format!("has the time {text:?}, which is not HH:MM");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    if !matches!(hour.len(), 1..=2) || minute.len() != 2 {
        return Err(wrong());
    }
    let number = |digits: &str, below: u32| {
        let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<u32>().ok().filter(|n| all_digits && *n < below).ok_or_else(wrong)
    };
    Ok(number(hour, 24)? * 60 + number(minute, 60)?)
}

#[cfg(test)]
mod tests {
    use super::{check, holds};

    #[test]
    fn a_window_holds_its_first_and_last_minute() {
        let (tuesday, at) = (2, |hour: u32, minute: u32| hour * 60 + minute);
        assert!(holds("Tue:10:00-20:00", tuesday, at(10, 0)) && holds("10:00-20:00", 0, at(20, 0)));
        assert!(
            !holds("Tue:10:00-20:00", tuesday, at(20, 1)) && !holds("Mon:10:00-20:00", tuesday, at(11, 0))
        );
        assert!(!holds("nonsense", tuesday, 0));
    }

    #[test]
    fn windows() {
        for text in [
            "Tue:10:00-20:00",
            "05:00-07:00",
            "01:00-10:00",
            "Mon:10:00-10:00",
            "Sun:00:00-00:00",
            "1:00-6:00",
            " 01:00-06:00",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in [
            "Mon:12:00-11:00",
            "Mon:10:00-00:00",
            "01:5-06:00",
            "Wed:33:00-00:00",
            "Wed:00:00-26:00",
            "Sunday:00:00-00:00",
            ":00:00-10:00",
            "Mon:00:00:00-10:00:00",
            "Mon:00:00-00:00:00",
            "Mon:00:00-Fri:00:00",
            "Mon:00:00",
            "mon:01:00-02:00",
            "01:00 - 02:00",
            "24:00-24:00",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
