//! Waiting with a deadline. A wait that fails says what it waited for and what it saw last.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What one look showed.
pub enum Look<T> {
    /// It is there.
    Done(T),
    /// Not yet; what was seen instead.
    NotYet(String),
}

impl Look<()> {
    /// Done when `condition` holds, else not yet with what was `seen`.
    pub fn when(condition: bool, seen: impl Into<String>) -> Self {
        if condition { Self::Done(()) } else { Self::NotYet(seen.into()) }
    }
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Looks until it is there, for at most `seconds`. An error of a look counts as "not yet":
/// the world may be in the middle of a change.
pub fn wait_until<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Result<Look<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        let seen = match look() {
            Ok(Look::Done(found)) => return Ok(found),
            Ok(Look::NotYet(seen)) => seen,
            Err(error) => format!("{error:#}"),
        };
        if start.elapsed() > Duration::from_secs(seconds) {
            bail!("waited {seconds} s for: {what}; seen last: {seen}");
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_fails_says_what_it_saw() {
        let error = wait_until("spring", 0, || Ok(Look::<()>::NotYet("snow".into())));
        let error = error.expect_err("no spring");
        assert_eq!(error.to_string(), "waited 0 s for: spring; seen last: snow");
        let error = wait_until("x", 0, || -> Result<Look<()>> { bail!("broken") });
        assert!(error.expect_err("never").to_string().ends_with("seen last: broken"));
        assert_eq!(wait_until("x", 0, || Ok(Look::Done(7))).expect("at once"), 7);
    }
}
