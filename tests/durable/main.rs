//! A registry over a store: what was committed is there, whoever asks, however the program before ended.

#![cfg(feature = "sqlite")]

mod answers;
#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "erasure")]
mod erased;
mod faulty;
mod kill;
mod loss;
mod many;
mod medium;
mod overtaken;
mod program;
mod reopened;
mod together;
mod trace;
mod unloaded;
mod world;
