//! Any bytes are read as what an entry made and what a version carries or refused, and what was read comes back.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heirloom::__fuzz::stored_row(bytes));
