//! Any bytes are read as what is stored of a state or refused, and a difference comes back with its weight.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heirloom::__fuzz::stored_body(bytes));
