//! Levels of rendering. Level 0 is what the original 2.0.1 renders, template defects included;
//! each further level repairs more of them. The level in force is an annotation of the StatefulSet
//! and rises only together with a change of the template that is not a repair, so that no repair
//! and no newer version of ours restarts anybody by itself.

use serde::{Deserialize, Serialize};

/// Annotation of the StatefulSet with the level it was rendered at; absent means 0.
pub const LEVEL_ANNOTATION: &str = "acid.zalan.do/render-level";

/// A level of rendering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Level(u32);

impl Level {
    /// What the original 2.0.1 renders.
    pub const ORIGINAL: Self = Self(0);
    /// Known template defects are repaired.
    pub const REPAIRED: Self = Self(1);
    /// The level of new clusters.
    pub const NEWEST: Self = Self::REPAIRED;

    /// Level `number`; one from the future is the newest that is known.
    pub fn of(number: u32) -> Self {
        Self(number).min(Self::NEWEST)
    }

    /// All levels, from the original's.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=Self::NEWEST.0).map(Self)
    }

    /// The level that an annotation's value names. What cannot be read is the original's level:
    /// the safe one, it restarts nobody who was taken over.
    pub fn from_annotation(value: Option<&str>) -> Self {
        value.and_then(|text| text.parse().ok()).map_or(Self::ORIGINAL, Self::of)
    }

    /// Whether the repairs of `level` are in force.
    pub fn repairs(self, level: Self) -> bool {
        self >= level
    }

    /// The level as a number.
    pub fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations() {
        for (text, level) in [
            (None, Level::ORIGINAL),
            (Some("0"), Level::ORIGINAL),
            (Some("1"), Level::REPAIRED),
            (Some("99"), Level::NEWEST),
            (Some("x"), Level::ORIGINAL),
        ] {
            assert_eq!(Level::from_annotation(text), level, "{text:?}");
        }
    }
}
