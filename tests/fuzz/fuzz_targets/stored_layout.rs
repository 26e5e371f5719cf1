//! Any text is read as a layout and as a lock or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heirloom::__fuzz::stored_layout(bytes));
