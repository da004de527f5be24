//! What is wrong with a piece of input, in a form that a person can act on.

use std::fmt;

/// One thing that is wrong with a manifest or a setting.
///
/// The same three parts appear in the condition, the event, the printed plan and the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Problem {
    /// Where: the path of the field as the user writes it, `spec.volume.size`, or the key of an
    /// option.
    pub field: String,
    /// What is wrong, with the value that was found.
    pub message: String,
    /// What to do about it.
    pub cure: String,
}

impl Problem {
    /// A problem of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), cure: cure.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.message, self.cure)
    }
}

impl std::error::Error for Problem {}
