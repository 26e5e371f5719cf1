//! Any bytes are read as what is said of an entry or refused, and what a run was given comes back.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heirloom::__fuzz::stored_said(bytes));
