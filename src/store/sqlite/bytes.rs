//! The checksums of rows, and what versions are found by.

use super::fault::Fault;
use crate::id::EntityId;
pub(super) use crate::store::varint::{Varints, write_varint};

/// The checksum of a row: CRC-32 over the table's letter and every column in order.
pub(super) struct Sum(crc32fast::Hasher);

impl Sum {
    pub(super) fn of(table: u8) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&[table]);
        Self(hasher)
    }

    pub(super) fn int(mut self, number: i64) -> Self {
        let mut bytes = [1; 9];
        bytes[1..].copy_from_slice(&number.to_le_bytes());
        self.0.update(&bytes);
        self
    }

    pub(super) fn maybe_int(self, number: Option<i64>) -> Self {
        match number {
            Some(number) => self.int(number),
            None => self.null(),
        }
    }

    pub(super) fn blob(mut self, blob: &[u8]) -> Self {
        let mut bytes = [2; 9];
        bytes[1..].copy_from_slice(&(blob.len() as u64).to_le_bytes());
        self.0.update(&bytes);
        self.0.update(blob);
        self
    }

    pub(super) fn maybe_blob(self, blob: Option<&[u8]>) -> Self {
        match blob {
            Some(blob) => self.blob(blob),
            None => self.null(),
        }
    }

    fn null(mut self) -> Self {
        self.0.update(&[0]);
        self
    }

    /// As it is stored: read as a number with a sign, which is shorter for SQLite.
    pub(super) fn finish(self) -> i64 {
        i64::from(self.0.finalize().cast_signed())
    }

    /// Its four bytes, the lowest first.
    pub(super) fn bytes(self) -> [u8; 4] {
        self.0.finalize().to_le_bytes()
    }

    /// Compares with what is stored.
    pub(super) fn check(self, stored: i64, row: impl FnOnce() -> String) -> Result<(), Fault> {
        if self.finish() == stored { Ok(()) } else { Err(Fault::damaged(row(), "its checksum does not fit")) }
    }
}

/// What a version of an entity is found by: the entity's number and the revision.
pub(super) fn version_key(number: i64, revision: u64) -> Option<i64> {
    let revision = i64::from(u32::try_from(revision).ok()?);
    (1..=HIGHEST_NUMBER).contains(&number).then_some(number << 32 | revision)
}

/// The highest number of an entity.
pub(super) const HIGHEST_NUMBER: i64 = (1 << 31) - 1;

/// The highest of those that are given in the order in which entities come; above are those of entities that somebody
/// referred to before.
pub(super) const HIGHEST_PLACE: i64 = 1 << 30;

/// The 16 bytes of an id.
pub(super) fn entity_id(bytes: &[u8]) -> Option<EntityId> {
    bytes.try_into().ok().map(EntityId::from_bytes)
}
