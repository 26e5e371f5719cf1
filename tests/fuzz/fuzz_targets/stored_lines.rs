//! Any bytes are read as the lines of a store or refused; what is there then verifies, and comes back from its lines.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heirloom::__fuzz::lines(bytes));
