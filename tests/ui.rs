//! Each mistake is one error, on the word that is wrong: `tests/ui` has a file for each.

use std::env;
use std::process::Command;

/// The compiler whose messages `tests/ui` holds; another words them otherwise.
const WRITTEN_WITH: &str = "rustc 1.95.";

#[test]
fn each_mistake_is_one_error() {
    let compiler = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(&compiler).arg("-V").output().expect("the compiler that built this test runs");
    let version = String::from_utf8_lossy(&output.stdout);
    if !version.starts_with(WRITTEN_WITH) {
        eprintln!("skipped: tests/ui holds the messages of {WRITTEN_WITH}x, and this is {}", version.trim());
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
