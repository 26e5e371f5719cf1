//! Any bytes are read as a value or refused, and a value that was read comes back.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heirloom::__fuzz::stored_value(bytes));
