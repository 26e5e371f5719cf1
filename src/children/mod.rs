//! Shared handles: children that are copied when written and never compared when untouched.

mod child;
#[expect(clippy::module_inception, reason = "the module is named after its family, the file after its type")]
mod children;
mod cold;
mod drops;
mod field;
mod items;
mod references;
mod repeated;
mod sequence;
mod shared;

pub use child::Child;
pub use children::Children;
pub(crate) use cold::{LoadFailure, loading};
pub use references::References;
pub use repeated::RepeatedId;
pub use shared::Shared;
