//! Why a value could not be read as a type.

use std::fmt;

use super::Value;

/// A value that is not of the type it was read as: where, what was expected, what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    path: Vec<String>,
    expected: String,
    found: String,
}

impl DecodeError {
    /// `found` stands where `expected` should.
    #[must_use]
    pub fn new(expected: impl Into<String>, found: &Value) -> Self {
        let text = found.to_string();
        let found = if text.chars().count() > 60 {
            format!("{} {}...", found.kind(), text.chars().take(60).collect::<String>())
        } else if matches!(found, Value::Null) {
            text
        } else {
            format!("{} {text}", found.kind())
        };
        Self { path: Vec::new(), expected: expected.into(), found }
    }

    /// An error in words of one's own.
    #[must_use]
    pub fn saying(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { path: Vec::new(), expected: expected.into(), found: found.into() }
    }

    /// The same error seen from one step further out: a field, or `[index]`.
    #[must_use]
    pub fn within(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }

    /// Where, from the outside in, such as `courses[3].name`; empty for the value as a whole.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in self.path.iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        path
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path())?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for DecodeError {}
