//! What an observation of one thing can be.

use serde::{Deserialize, Serialize};

/// The answer to "is it there?", with "could not tell" as an answer of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Seen<T> {
    /// It was read.
    Present(T),
    /// The source answered, and it is not there.
    Absent,
    /// The source did not answer; the text says why.
    Unknown(String),
}

impl<T> Seen<T> {
    /// The value, if it was read.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown(_) => None,
        }
    }

    /// Why it could not be told, if so.
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(why) => Some(why),
            Self::Present(_) | Self::Absent => None,
        }
    }
}

impl<T> Default for Seen<T> {
    /// Nothing was asked yet.
    fn default() -> Self {
        Self::Unknown("not looked at".to_owned())
    }
}
