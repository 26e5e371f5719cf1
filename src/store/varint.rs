//! Numbers of as many bytes as they need.

/// Writes a number in groups of seven bits, the lowest first; the highest bit of a byte says that another follows.
pub(crate) fn write_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// Reads what was written with [`write_varint`].
pub(crate) struct Varints<'b> {
    rest: &'b [u8],
}

impl<'b> Varints<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next number; `None` if there is none, or one of more than 64 bits.
    pub(crate) fn next(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            let low = u64::from(byte & 0x7f);
            if low.leading_zeros() < shift {
                return None;
            }
            number |= low << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// What follows the numbers that were read.
    pub(crate) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    /// A number of things that follow, each of at least one byte.
    #[cfg(feature = "sqlite")]
    pub(crate) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.next()?).ok()?;
        (count <= self.rest.len()).then_some(count)
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}
