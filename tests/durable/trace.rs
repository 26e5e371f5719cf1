//! What a process did to the files of a folder, in order: `trace.c` is preloaded into it and tells.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::Directory;

/// Where the file is to which the process writes what it was told. Nothing of it is lost.
pub(crate) const SAID: &str = "said";

/// Where the folder is, for the process and for what is preloaded.
pub(crate) const FOLDER: &str = "HEIRLOOM_TRACE_FOLDER";

/// One thing that was done.
#[derive(Debug)]
pub(crate) enum Step {
    /// A file got a name.
    Named {
        file: u32,
        name: String,
    },
    /// A name went.
    Unnamed {
        name: String,
    },
    Wrote {
        file: u32,
        at: usize,
        bytes: Vec<u8>,
    },
    /// A file got another length, with zeros where there was nothing.
    Cut {
        file: u32,
        length: usize,
    },
    /// A file got at least this length.
    Grew {
        file: u32,
        length: usize,
    },
    SyncBegan {
        number: u64,
    },
    SyncEnded {
        file: u32,
        number: u64,
    },
    /// Something was written down that had been acknowledged.
    Said(String),
}

/// What is preloaded, in a folder of its own.
pub(crate) struct Shim {
    library: PathBuf,
    _folder: Directory,
}

impl Shim {
    /// Compiles it; `None`, and it says why, where nothing can be preloaded or there is no compiler.
    pub(crate) fn new() -> Option<Self> {
        if !cfg!(target_os = "linux") || cfg!(target_feature = "crt-static") {
            println!("skipped: only on Linux, in a program that is linked dynamically, syncs can be watched");
            return None;
        }
        let folder = Directory::new("shim");
        let library = folder.file().with_extension("so");
        let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
        let mut command = Command::new(&compiler);
        command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/durable/trace.c")).args(["-ldl", "-lpthread"]);
        match command.status() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("skipped: there is no C compiler {}", compiler.display());
                None
            }
            status => {
                assert!(status.expect("the compiler runs").success(), "what is preloaded does not compile");
                Some(Self { library, _folder: folder })
            }
        }
    }

    /// Runs one test of this program as a process of its own, and gives what it did to the files of an empty folder.
    pub(crate) fn watch(&self, test: &str, folder: &Path, variables: &[(&str, String)]) -> Vec<Step> {
        let trace = self.library.with_extension("trace");
        _ = fs::remove_file(&trace);
        let mut preloaded = OsString::from(&self.library);
        if let Some(others) = env::var_os("LD_PRELOAD") {
            preloaded.push(":");
            preloaded.push(others);
        }
        let mut command = Command::new(env::current_exe().expect("this program is a file"));
        command.args(["--exact", test]).env("LD_PRELOAD", preloaded).env("HEIRLOOM_TRACE", &trace);
        command.env(FOLDER, fs::canonicalize(folder).expect("it is there")).envs(variables.iter().cloned());
        let output = command.output().expect("a process can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        read(&fs::read(&trace).expect("what is preloaded writes a trace"))
    }
}

/// The steps that a trace tells, as `trace.c` wrote them.
fn read(mut trace: &[u8]) -> Vec<Step> {
    let (mut steps, mut said) = (Vec::new(), None);
    let number = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("it is told in eight bytes"));
    while let Some((head, rest)) = trace.split_at_checked(24) {
        let (two, at, length) = (number(&head[..8]).to_ne_bytes(), number(&head[8..16]), number(&head[16..]) as usize);
        let small = |from| u32::from_ne_bytes([two[from], two[from + 1], two[from + 2], two[from + 3]]);
        let (kind, file) = (char::from_u32(small(0)), small(4));
        let (bytes, rest) = rest.split_at_checked(length).expect("a trace is whole");
        let text = || String::from_utf8(bytes.to_vec()).expect("names are text");
        let place = usize::try_from(at).expect("files are small");
        trace = rest;
        steps.push(match kind {
            Some('c') if bytes == SAID.as_bytes() => {
                said = Some(file);
                continue;
            }
            Some('w') if said == Some(file) => Step::Said(text()),
            Some('c') => Step::Named { file, name: text() },
            Some('u') => Step::Unnamed { name: text() },
            Some('w') => Step::Wrote { file, at: place, bytes: bytes.to_vec() },
            Some('t') => Step::Cut { file, length: place },
            Some('a') => Step::Grew { file, length: place },
            Some('b') => Step::SyncBegan { number: at },
            Some('e') => Step::SyncEnded { file, number: at },
            other => panic!("{other:?} {} is nothing that is done to a store", text()),
        });
    }
    assert!(trace.is_empty() && !steps.is_empty(), "a trace is whole, and there is one");
    steps
}
