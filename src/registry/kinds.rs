//! Which types a callable may take and give: one implementation per type, so that nothing fits in two ways.

/// A type that a registered function may take.
pub trait Param {
    /// How it is taken.
    type Kind;
    /// How a list of it is taken.
    type ListKind;
}

/// A parameter that is a plain value.
pub struct PlainParam;

/// A type that a registered function may give back.
pub trait Output {
    /// How it is unpacked.
    type Kind;
}

/// An output that is a plain value.
pub struct PlainOutput;

/// An output that is an entity: created by the run.
pub struct CreatedOutput;
