//! What holds of any bytes that stand in a row: the tests ask it of a few, `tests/fuzz` of many.

use super::bytes::{Varints, write_varint};
use super::rows::{Made, entity_number};

/// What is read as what an entry made is written, and what is written reads as the same; so with a list of what a version
/// carries. Neither is longer in memory than its bytes allow.
pub(crate) fn row(bytes: &[u8]) {
    if let Some(made) = Made::read(bytes) {
        assert!(made.versions.len() + made.ended.len() + made.references.len() <= bytes.len());
        let written = made.write();
        // Longer where a number had been written with more groups than it needs.
        assert!(written.len() <= bytes.len());
        assert!(Made::read(&written).is_some_and(|read| read == made), "{bytes:?}");
    }
    let mut numbers = Varints::new(bytes);
    let (mut carried, mut written) = (Vec::new(), Vec::new());
    while let Some(number) = entity_number(&mut numbers) {
        carried.push(number);
        write_varint(&mut written, number.cast_unsigned());
    }
    assert!(carried.len() <= bytes.len());
    let mut numbers = Varints::new(&written);
    let again: Vec<i64> = std::iter::from_fn(|| entity_number(&mut numbers)).collect();
    assert!(again == carried && numbers.is_empty(), "{bytes:?}");
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn what_stands_in_a_row_comes_back_or_is_none() {
        let cases: [&[u8]; 8] = [
            b"",
            &[0, 0, 0],
            &[1, 1, 3, 0, 0],
            &[1, 0x81, 0, 3, 1, 7, 1, 9, 5, 9],
            &[0xff; 11],
            &[2, 1],
            &[1, 0, 2, 0, 0],
            &[0, 0, 1, 1, 0xff, 0xff, 0xff, 0x7f, 1],
        ];
        cases.into_iter().for_each(row);
    }
}
