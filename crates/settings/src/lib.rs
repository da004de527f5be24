//! The operator's configuration: one table of options, from which the typed [`Settings`], their
//! defaults, the parsers and the documentation come. Pure: sources are read elsewhere.

mod kind;
mod number;
mod reference;
mod source;
mod table;

pub use kind::{Kind, PodManagement};
pub use reference::reference;
pub use table::{OPTIONS, Opt, Settings};
