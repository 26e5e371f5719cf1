//! Sealing and opening bytes: XChaCha20-Poly1305 with random nonces, and keys from keys by BLAKE3.

use std::sync::Arc;

use crate::store::{Secret, StoreError};

/// How long a nonce is. It is random: of 24 bytes no two are ever the same.
#[cfg(feature = "erasure")]
const NONCE: usize = 24;

/// Why nothing is sealed or opened here.
#[cfg(not(feature = "erasure"))]
const NOT_BUILT: &str = "it is sealed, and this heirloom was built without the feature `erasure`";

#[cfg(feature = "erasure")]
fn fill(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| StoreError::Io {
        doing: "asking the system for random bytes".to_owned(),
        source: Arc::new(std::io::Error::other(error.to_string())),
    })
}

/// A new key.
#[cfg(feature = "erasure")]
pub(super) fn secret() -> Result<Secret, StoreError> {
    loop {
        let mut bytes = [0; 32];
        fill(&mut bytes)?;
        if let Some(secret) = Secret::new(bytes) {
            return Ok(secret);
        }
    }
}

/// The nonce, and after it what the plain bytes became. They can be opened with the same `place` alone.
#[cfg(feature = "erasure")]
pub(super) fn seal(secret: &Secret, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    use chacha20poly1305::aead::{Aead, KeyInit, Payload};
    use chacha20poly1305::{XChaCha20Poly1305, XNonce};

    let mut nonce = [0; NONCE];
    fill(&mut nonce)?;
    let cipher = XChaCha20Poly1305::new(secret.as_bytes().into());
    let payload = Payload { msg: plain, aad: place };
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| StoreError::Io {
        doing: "sealing a state".to_owned(),
        source: Arc::new(std::io::Error::other("it is longer than the cipher can take")),
    })?;
    Ok([&nonce[..], &sealed].concat())
}

/// What was sealed; else why it is not that.
#[cfg(feature = "erasure")]
pub(super) fn open(secret: &Secret, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, &'static str> {
    use chacha20poly1305::aead::{Aead, KeyInit, Payload};
    use chacha20poly1305::{XChaCha20Poly1305, XNonce};

    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or("it is cut short")?;
    let cipher = XChaCha20Poly1305::new(secret.as_bytes().into());
    let opened = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: place });
    opened.map_err(|_| "it was not sealed so, or not under this key, or not for this place")
}

#[cfg(not(feature = "erasure"))]
fn not_built() -> StoreError {
    StoreError::Io { doing: "sealing".to_owned(), source: Arc::new(std::io::Error::other(NOT_BUILT)) }
}

/// Nothing is sealed: no type says whose its data is.
#[cfg(not(feature = "erasure"))]
pub(super) fn secret() -> Result<Secret, StoreError> {
    Err(not_built())
}

#[cfg(not(feature = "erasure"))]
pub(super) fn seal(_: &Secret, _: &[u8], _: &[u8]) -> Result<Vec<u8>, StoreError> {
    Err(not_built())
}

#[cfg(not(feature = "erasure"))]
pub(super) fn open(_: &Secret, _: &[u8], _: &[u8]) -> Result<Vec<u8>, &'static str> {
    Err(NOT_BUILT)
}

/// The key that takes all of these: who lacks one of them cannot work it out.
pub(super) fn joined<'s>(secrets: impl Iterator<Item = &'s Secret>) -> Secret {
    let mut all = Vec::new();
    secrets.for_each(|secret| all.extend_from_slice(secret.as_bytes()));
    let derived = blake3::derive_key("heirloom 2026-11 what a run was given", &all);
    Secret::new(derived).expect("a hash of zeros alone has never been seen")
}
