//! Shared handles: children that are copied when written and never compared when untouched.

mod sequence;
