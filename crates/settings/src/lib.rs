//! The operator's configuration: one table of options, from which the typed [`Settings`], their
//! defaults, the parsers, the definition of `OperatorConfiguration` and the documentation come.
//! Pure: sources are read elsewhere.

mod allowed;
mod definition;
mod difference;
mod effect;
mod kind;
mod name;
mod number;
mod reference;
mod source;
mod table;

pub use allowed::Allowed;
pub use definition::crd_operator_configuration;
pub use difference::SettingDifference;
pub use effect::Effect;
pub use kind::{Kind, PodManagement};
pub use name::{expand, namespaced_name};
pub use reference::reference;
pub use source::Reading;
pub use table::{EmptyMeans, OPTIONS, Opt, Settings, Sources};
