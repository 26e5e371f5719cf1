//! Two lines, each a patch or a state: a patch is applied or refused, and what leads from a state to another does so.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heirloom::__fuzz::stored_patch(bytes));
