//! Keys: what states are sealed under, so that destroying one makes them unreadable and leaves the chain whole.

use std::fmt;

use crate::digest::Digest;
use crate::when::Position;

/// The number of a key: 1, 2, 3 in the order in which a store got them. It is never given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyNumber(pub u64);

impl fmt::Display for KeyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.0)
    }
}

/// The bytes of a key: whoever has them can read what is sealed under it. They are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// These bytes. All zeros are what a destroyed one leaves, and so are none: `None`.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Option<Self> {
        (bytes != [0; 32]).then_some(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A key as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its number.
    pub number: KeyNumber,
    /// The digest of the name of the subject whose it is.
    pub subject: Digest,
    /// Its bytes; `None` once it is erased, or if they never came here.
    pub secret: Option<Secret>,
    /// The entry that erased it.
    pub erased: Option<Position>,
}

/// What an entry does to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// It makes one.
    Made {
        /// Its number: one more than that of the last.
        number: KeyNumber,
        /// The digest of the name of the subject whose it is, which has no other that is not erased.
        subject: Digest,
        /// Its bytes. They are no part of the chain, and `None` once the key is erased.
        secret: Option<Secret>,
    },
    /// It destroys one, for good.
    Erased {
        /// Its number.
        number: KeyNumber,
    },
}

impl KeyChange {
    /// The number of the key.
    #[must_use]
    pub fn number(&self) -> KeyNumber {
        match self {
            KeyChange::Made { number, .. } | KeyChange::Erased { number } => *number,
        }
    }
}
