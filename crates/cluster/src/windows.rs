//! Maintenance windows: `Sat:01:00-06:00`, or `01:00-06:00` for every day. Times are UTC, the end
//! is not before the start, and the whole minute of the end belongs to the window.

use jiff::civil::{DateTime, Weekday};
use jiff::{Span, Timestamp, tz::TimeZone};
use matriarch_settings::Settings;
use serde::{Deserialize, Serialize};

use crate::validate::Cluster;

const DAYS: [(&str, Weekday); 7] = [
    ("Sun", Weekday::Sunday),
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
];

/// One window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Window {
    /// The day; `None` is every day.
    day: Option<Weekday>,
    /// First minute, since midnight.
    from: i32,
    /// Last minute, since midnight.
    to: i32,
}

impl Window {
    /// Reads one window. Blanks around it do not matter. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (start, end) = text.trim().split_once('-').ok_or("has no dash between start and end")?;
        let (day, start) = match start.split(':').count() {
            3 => {
                let (name, time) = start.split_once(':').unwrap_or_default();
                let day = DAYS.iter().find(|(known, _)| *known == name).map(|(_, day)| *day);
                (Some(day.ok_or_else(|| format!("has the unknown day {name:?}"))?), time)
            }
            _ => (None, start),
        };
        let (from, to) = (minutes(start)?, minutes(end)?);
        if to < from {
            return Err("ends before it starts".to_owned());
        }
        Ok(Self { day, from, to })
    }

    fn contains(self, now: DateTime) -> bool {
        let minute = i32::from(now.hour()) * 60 + i32::from(now.minute());
        self.day.is_none_or(|day| day == now.weekday()) && (self.from..=self.to).contains(&minute)
    }

    /// When it begins next. A window that began today is over for today, even if it is still open.
    fn next_start(self, now: DateTime) -> Option<DateTime> {
        let midnight = now.date().to_datetime(jiff::civil::Time::midnight());
        let today = midnight.checked_add(Span::new().minutes(self.from)).ok()?;
        let days = match self.day {
            None => i32::from(today < now),
            Some(day) => match i32::from(now.weekday().until(day)) {
                0 if today < now => 7,
                days => days,
            },
        };
        today.checked_add(Span::new().days(days)).ok()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((name, _)) = DAYS.iter().find(|(_, day)| Some(*day) == self.day) {
            write!(f, "{name}:")?;
        }
        let (from, to) = (self.from, self.to);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// The windows that count for one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Windows {
    /// There are none, or they are switched off: every moment is inside.
    #[default]
    Always,
    /// Only these. Where none of the operator's could be read there are none: nothing disruptive
    /// happens until they are corrected.
    Only(Vec<Window>),
}

impl Windows {
    /// The manifest's windows, or else the operator's.
    pub fn of(cluster: &Cluster, settings: &Settings) -> Self {
        let own = cluster.spec.maintenance_windows.as_deref().unwrap_or_default();
        let texts = if own.is_empty() { settings.maintenance_windows.as_slice() } else { own };
        if texts.is_empty() || !settings.enable_maintenance_windows {
            return Self::Always;
        }
        Self::Only(texts.iter().filter_map(|text| Window::parse(text).ok()).collect())
    }

    /// Whether `now` is inside.
    pub fn contain(&self, now: Timestamp) -> bool {
        match self {
            Self::Always => true,
            Self::Only(windows) => windows.iter().any(|window| window.contains(utc(now))),
        }
    }

    /// When the next window begins; `None` if there are none.
    pub fn next_start(&self, now: Timestamp) -> Option<Timestamp> {
        let Self::Only(windows) = self else { return None };
        let start = windows.iter().filter_map(|window| window.next_start(utc(now))).min()?;
        start.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    }

    /// The same in the form that Patroni wants for a scheduled switchover; empty if there are none,
    /// which makes Patroni switch at once.
    pub fn next_start_for_patroni(&self, now: Timestamp) -> String {
        self.next_start(now)
            .map_or_else(String::new, |start| utc(start).strftime("%Y-%m-%dT%H:%M+00").to_string())
    }
}

fn utc(moment: Timestamp) -> DateTime {
    TimeZone::UTC.to_datetime(moment)
}

/// Minutes since midnight.
fn minutes(text: &str) -> Result<i32, String> {
    let wrong = || format!("has the time {text:?}, which is not HH:MM");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    if !matches!(hour.len(), 1..=2) || minute.len() != 2 {
        return Err(wrong());
    }
    let number = |digits: &str, below: i32| {
        let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<i32>().ok().filter(|n| all_digits && *n < below).ok_or_else(wrong)
    };
    Ok(number(hour, 24)? * 60 + number(minute, 60)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use matriarch_api::rules;

    /// Texts, what they mean to us, and whether the API server takes them. Blanks around a window
    /// and a manifest that the original cannot read are the differences (01 §7 row 11).
    #[test]
    fn vectors_01_3_1_windows() {
        let pattern = regex::Regex::new(rules::WINDOW_PATTERN).unwrap();
        for (text, expected) in [
            ("Tue:10:00-20:00", Some("Tue:10:00-20:00")),
            ("05:00-07:00", Some("05:00-07:00")),
            ("01:00-10:00", Some("01:00-10:00")),
            ("Mon:10:00-10:00", Some("Mon:10:00-10:00")),
            ("Sun:00:00-00:00", Some("Sun:00:00-00:00")),
            ("1:00-6:00", Some("01:00-06:00")),
            (" 01:00-06:00", Some("01:00-06:00")),
            ("01:00-06:00 ", Some("01:00-06:00")),
            ("Mon:12:00-11:00", None),
            ("Mon:10:00-00:00", None),
            ("01:5-06:00", None),
            ("Wed:33:00-00:00", None),
            ("Wed:00:00-26:00", None),
            ("Sunday:00:00-00:00", None),
            (":00:00-10:00", None),
            ("Mon:00:00:00-10:00:00", None),
            ("Mon:00:00-00:00:00", None),
            ("Mon:00:00-Fri:00:00", None),
            ("Mon:00:00", None),
            ("mon:01:00-02:00", None),
            ("01:00 - 02:00", None),
            ("24:00-24:00", None),
        ] {
            let found = Window::parse(text);
            assert_eq!(found.clone().ok().map(|window| window.to_string()).as_deref(), expected, "{text}");
            // The pattern cannot see that a window ends before it starts; a rule beside it does.
            let reversed = found == Err("ends before it starts".to_owned());
            assert_eq!(pattern.is_match(text), expected.is_some() || reversed, "{text}");
        }
    }

    #[test]
    fn vectors_01_3_1_times_and_days() {
        for (text, fits) in
            [("16:08", true), ("11:00", true), ("23:59", true), ("26:09", false), ("23:69", false)]
        {
            assert_eq!(minutes(text).is_ok(), fits, "{text}");
        }
        let day =
            |name: &str| Window::parse(&format!("{name}:00:00-00:00")).ok().and_then(|window| window.day);
        assert_eq!(day("Wed"), Some(Weekday::Wednesday));
        assert_eq!((day("Sunday"), day("")), (None, None));
    }

    fn windows(own: &[&str], configured: &[&str], enabled: bool) -> Windows {
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut cluster = Cluster::default();
        cluster.spec.maintenance_windows = Some(texts(own));
        let settings = Settings {
            maintenance_windows: texts(configured),
            enable_maintenance_windows: enabled,
            ..Settings::default()
        };
        Windows::of(&cluster, &settings)
    }

    /// A Tuesday.
    fn now() -> Timestamp {
        "2025-11-11T12:35:00Z".parse().unwrap()
    }

    #[test]
    fn vectors_01_3_1_inside() {
        let cases: [(&[&str], &[&str], bool, bool); 10] = [
            (&[], &[], true, true),
            (&["13:35-14:35"], &[], false, true),
            (&["00:00-23:59"], &[], true, true),
            (&["Tue:00:00-23:59"], &[], true, true),
            (&["Tue:13:35-14:35"], &[], true, false),
            (&[], &["13:35-14:35"], true, false),
            (&[], &["00:00-02:00", "02:00-23:59"], true, true),
            // The minute of the end belongs to the window, the manifest's windows replace the others.
            (&["12:00-12:35"], &[], true, true),
            (&["13:35-14:35"], &["00:00-23:59"], true, false),
            (&[], &["nonsense"], true, false),
        ];
        for (own, configured, enabled, expected) in cases {
            let windows = windows(own, configured, enabled);
            assert_eq!(windows.contain(now()), expected, "{own:?} {configured:?} {enabled}");
        }
        let late: Timestamp = "2025-11-11T12:35:59Z".parse().unwrap();
        assert!(windows(&["12:00-12:35"], &[], true).contain(late));
        let later: Timestamp = "2025-11-11T12:36:00Z".parse().unwrap();
        assert!(!windows(&["12:00-12:35"], &[], true).contain(later));
    }

    #[test]
    fn vectors_01_3_1_next_switchover() {
        let cases: [(&[&str], &[&str], &str); 9] = [
            (&["13:35-14:35"], &[], "2025-11-11T13:35+00"),
            (&["10:35-11:35"], &[], "2025-11-12T10:35+00"),
            (&["Tue:13:35-14:35"], &[], "2025-11-11T13:35+00"),
            (&["Tue:10:35-11:35"], &[], "2025-11-18T10:35+00"),
            (&["Thu:13:35-14:35", "10:35-11:35"], &[], "2025-11-12T10:35+00"),
            (&["Thu:13:35-14:35", "Wed:10:35-11:35"], &[], "2025-11-12T10:35+00"),
            (&[], &["13:35-14:35"], "2025-11-11T13:35+00"),
            (&[], &[], ""),
            (&[], &["nonsense"], ""),
        ];
        for (own, configured, expected) in cases {
            let windows = windows(own, configured, true);
            assert_eq!(windows.next_start_for_patroni(now()), expected, "{own:?} {configured:?}");
        }
    }
}
