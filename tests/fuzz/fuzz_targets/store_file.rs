//! Whatever was done to the file of a store, it is read as it was or refused.

#![no_main]

#[path = "../../store/mend.rs"]
mod mend;
#[path = "../../store/mutated.rs"]
mod mutated;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mutated::file(bytes));
