//! The file that the history is kept in.

use std::path::PathBuf;

/// Where the history is kept. A temporary file goes when this does.
pub(crate) struct KeptFile {
    pub(crate) path: PathBuf,
    folder: Option<PathBuf>,
}

impl KeptFile {
    pub(crate) fn at(given: Option<PathBuf>) -> std::io::Result<Self> {
        if let Some(path) = given {
            return Ok(Self { path, folder: None });
        }
        let folder = std::env::temp_dir().join(format!("heirloom-countries-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self { path: folder.join("countries.heirloom"), folder: Some(folder) })
    }
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // A rest in the folder for temporary files is nobody's harm.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
