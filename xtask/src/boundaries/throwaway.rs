//! A crate outside of this workspace, written into a temporary folder for one run of cargo.
//!
//! Used by the checks that need a stranger's view of a crate. It is built with the versions that the
//! workspace has been tested with, and has already fetched.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::deadline::Deadline;
use crate::{process, workspace};

/// A crate of one file.
pub(super) struct Throwaway {
    pub(super) name: &'static str,
    /// Which file it is: `main.rs` or `lib.rs`.
    pub(super) file: &'static str,
    pub(super) source: String,
    /// The lines of its manifest's section of that name.
    pub(super) dependencies: String,
}

/// The line that makes a crate of this workspace a dependency.
pub(super) fn dependency_on(root: &Path, layer: &str) -> String {
    let path = root.join("crates").join(layer).display().to_string();
    format!("{layer} = {{ path = {path:?} }}\n")
}

impl Throwaway {
    /// Writes it, and runs cargo's `command` there.
    pub(super) fn cargo(&self, command: &str, deadline: Deadline) -> Result<()> {
        let directory = tempfile::tempdir().context("cannot create a temporary folder")?;
        self.write(directory.path())?;
        let target = workspace::target_directory().join("boundaries");
        let mut cargo = workspace::cargo();
        cargo
            .current_dir(directory.path())
            .args([command, "--quiet"])
            .env("CARGO_TARGET_DIR", target);
        process::run(&mut cargo, deadline)
    }

    fn write(&self, directory: &Path) -> Result<()> {
        let write = |name: &str, text: &str| {
            fs::write(directory.join(name), text).with_context(|| format!("cannot write {name}"))
        };
        fs::create_dir(directory.join("src")).context("cannot create src")?;
        write(&format!("src/{}", self.file), &self.source)?;
        write("Cargo.toml", &self.manifest())?;
        let lock = "Cargo.lock";
        fs::copy(workspace::root().join(lock), directory.join(lock))
            .with_context(|| format!("cannot copy {lock}"))?;
        Ok(())
    }

    fn manifest(&self) -> String {
        format!(
            "[package]\nname = {:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\n{}",
            self.name, self.dependencies
        )
    }
}
