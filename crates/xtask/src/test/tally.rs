//! Counts what `cargo test` prints.

/// Totals and times of all runs.
#[derive(Debug, Default)]
pub struct Tally {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed, and test programs that could not be built or run.
    pub failed: usize,
    /// Tests that were ignored or left out.
    pub skipped: usize,
    times: Vec<(String, f64)>,
    program: String,
    failed_before_run: usize,
    left_out: usize,
}

impl Tally {
    /// One line of output.
    pub fn line(&mut self, line: &str) {
        let line = line.trim_start();
        if let Some(program) = line.strip_prefix("Running ").or_else(|| line.strip_prefix("Doc-tests ")) {
            self.program = program.split(" (").next().unwrap_or(program).to_owned();
        } else if line.contains("e2e-time ") {
            self.own_time(line);
        } else if line.contains("e2e-left-out ") {
            self.left_out += 1;
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.result(result);
        }
    }

    /// A `cargo test` ended. When it failed without a failed test, something did
    /// not build or a program crashed: that counts as one failure.
    pub fn ended(&mut self, success: bool) {
        if !success && self.failed == self.failed_before_run {
            self.failed += 1;
        }
        self.failed_before_run = self.failed;
    }

    /// The last line of the command.
    pub fn totals(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }

    /// The slowest tests that say their time, and test programs as a whole.
    pub fn slowest(&mut self, count: usize) -> String {
        self.times.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let lines =
            self.times.iter().take(count).map(|(name, seconds)| format!("  {seconds:>8.1} s  {name}"));
        std::iter::once("The slowest:".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
    }

    /// `e2e-time NAME SECONDS`, perhaps behind the harness's own `test NAME ... `.
    fn own_time(&mut self, line: &str) {
        let Some((_, said)) = line.split_once("e2e-time ") else { return };
        let mut words = said.split_whitespace();
        if let (Some(name), Some(Ok(seconds))) = (words.next(), words.next().map(str::parse)) {
            self.times.push((name.to_owned(), seconds));
        }
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
    fn result(&mut self, result: &str) {
        let number = |word: &str| {
            let part = result.split(['.', ';']).find(|part| part.trim_end().ends_with(word))?;
            part.split_whitespace().next()?.parse::<usize>().ok()
        };
        let left_out = std::mem::take(&mut self.left_out);
        self.passed += number(" passed").unwrap_or(0).saturating_sub(left_out);
        self.failed += number(" failed").unwrap_or(0);
        self.skipped += number(" ignored").unwrap_or(0) + left_out;
        let seconds =
            result.rsplit("finished in ").next().and_then(|text| text.trim_end_matches('s').parse().ok());
        if let Some(seconds) = seconds {
            self.times.push((self.program.clone(), seconds));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
     Running unittests src/lib.rs (target/debug/deps/matriarch_sql-1)
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
     Running tests/walk.rs (target/debug/deps/walk-1)
test the_walk ... e2e-time the_walk 61.5
e2e-left-out bench: needs a cluster
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 70.25s
";

    #[test]
    fn totals_and_times_of_a_run() {
        let mut tally = Tally::default();
        OUTPUT.lines().for_each(|line| tally.line(line));
        tally.ended(false);
        assert_eq!(tally.totals(), "4 passed, 1 failed, 2 skipped");
        let slowest = tally.slowest(2);
        assert!(
            slowest.contains("70.2 s  tests/walk.rs") && slowest.contains("61.5 s  the_walk"),
            "{slowest}"
        );
    }

    #[test]
    fn what_does_not_build_is_a_failure() {
        let mut tally = Tally::default();
        tally.ended(false);
        assert_eq!(tally.totals(), "0 passed, 1 failed, 0 skipped");
    }
}
