//! Schedules of CronJobs, as Kubernetes reads them.

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const WORDS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

struct Field {
    name: &'static str,
    smallest: u32,
    largest: u32,
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", smallest: 0, largest: 59, words: &[] },
    Field { name: "hour", smallest: 0, largest: 23, words: &[] },
    Field { name: "day of the month", smallest: 1, largest: 31, words: &[] },
    Field { name: "month", smallest: 1, largest: 12, words: &MONTHS },
    Field { name: "day of the week", smallest: 0, largest: 6, words: &DAYS },
];

/// Whether `text` is a schedule. The error says what is wrong.
pub fn check(text: &str) -> Result<(), String> {
    if text.starts_with('@') {
        let every = text.strip_prefix("@every ").is_some_and(|rest| !rest.trim().is_empty());
        return if every || WORDS.contains(&text) { Ok(()) } else { Err(format!("{text:?} is not known")) };
    }
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Err(format!("has {} fields instead of five", parts.len()));
    }
    parts.iter().zip(&FIELDS).try_for_each(|(part, field)| check_field(part, field))
}

fn check_field(text: &str, field: &Field) -> Result<(), String> {
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let step_fits = step.is_none_or(|step| step.parse::<u32>().is_ok_and(|step| step > 0));
        if !step_fits || !is_range(range, field) {
            return Err(format!(
                "has {item:?} as {}, which goes from {} to {}",
                field.name, field.smallest, field.largest
            ));
        }
    }
    Ok(())
}

fn is_range(text: &str, field: &Field) -> bool {
    if matches!(text, "*" | "?") {
        return true;
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first, field), number(last, field)) {
        (Some(first), Some(last)) => first <= last,
        _ => false,
    }
}

fn number(text: &str, field: &Field) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let word = field.words.iter().position(|word| *word == lower);
    let number = match word {
        Some(position) => field.smallest + u32::try_from(position).ok()?,
        None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
        None => return None,
    };
    (field.smallest..=field.largest).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn vectors_01_2_15_schedules() {
        for text in [
            "30 00 * * *",
            "*/5 * * * *",
            "0 0 * * 1-5",
            "0,30 * * * *",
            "@daily",
            "@every 6h",
            "15 3 1 JAN-jun sun",
            "0 0 ? * *",
            "0/15 1-5/2 * * *",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in [
            "99 99 99 99 99",
            "* * * *",
            "* * * * * *",
            "@often",
            "@every ",
            "a * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "",
            "0 0 0 * *",
            "0 0 * * 7",
            "-1 * * * *",
            "1,,2 * * * *",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
