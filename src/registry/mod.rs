//! The callable registry: functions run through it, and what they change becomes versions.

mod kinds;

pub use kinds::{CreatedOutput, Output, Param, PlainOutput, PlainParam};
