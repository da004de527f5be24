//! Errors in words for people: in conditions, events and logs.

use std::error::Error;

/// What went wrong, down to its cause, each thing said once. Of an answer of the API server only
/// what it says: the library's own text repeats it and appends every field of the answer.
pub fn plain(error: &(dyn Error + 'static)) -> String {
    if let Some(kube::Error::Api(status)) = error.downcast_ref() {
        return answer(status);
    }
    let text = error.to_string();
    let Some(source) = error.source() else { return text };
    let cause = plain(source);
    // A source without words would stand between all letters.
    let own = match source.to_string() {
        said if said.is_empty() => text,
        said => text.replace(&said, &cause),
    };
    if own.contains(&cause) {
        return own;
    }
    format!("{own}: {cause}")
}

/// A status without a message, as proxies send it, has its reason and its code.
fn answer(status: &kube::core::Status) -> String {
    match (status.message.as_str(), status.reason.as_str()) {
        ("", "") => format!("the API server answers {}", status.code),
        ("", reason) => format!("the API server answers {} {reason}", status.code),
        (message, _) => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: &str) -> kube::Error {
        kube::Error::Api(kube::core::Status::failure(message, "Forbidden").with_code(403).boxed())
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(&'static str, #[source] Option<Box<dyn Error + Send + Sync>>);

    #[test]
    fn what_the_api_server_says_is_told_without_the_fields_of_its_answer() {
        let words = "secrets \"a\" is forbidden: no";
        assert_eq!(plain(&refused(words)), words);
        assert_eq!(plain(&refused("")), "the API server answers 403 Forbidden");
        let watch = kube::runtime::watcher::Error::WatchStartFailed(refused(words));
        assert_eq!(plain(&watch), format!("failed to start watching object: {words}"));
        let pass = crate::pass::PassError::Report(refused(words));
        assert_eq!(plain(&pass), format!("the status cannot be written: {words}"));
    }

    #[test]
    fn causes_are_named_once() {
        let cause = || Some(Said("connection refused", None).into());
        assert_eq!(plain(&Said("cannot connect", cause())), "cannot connect: connection refused");
        assert_eq!(plain(&Said("sent: connection refused", cause())), "sent: connection refused");
        assert_eq!(plain(&Said("alone", None)), "alone");
        let silent = Some(Said("", None).into());
        assert_eq!(plain(&Said("a cause without words", silent)), "a cause without words");
    }
}
