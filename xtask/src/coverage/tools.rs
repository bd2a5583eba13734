//! The LLVM tools that read the compiler's counters: where they are, and how they are called.
//!
//! Called by `coverage`. The format changes from one LLVM to the next, so only tools of the
//! compiler's own LLVM will do: rustup's component, or a distribution's package of that number.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::deadline::Deadline;
use crate::{process, workspace};

pub(super) struct Tools {
    merge: PathBuf,
    export: PathBuf,
}

/// The tools for the compiler in use, or what is missing.
pub(super) fn find(deadline: Deadline) -> Result<Tools> {
    let version = process::output(workspace::rustc().arg("-vV"), deadline)?;
    let host = field(&version, "host: ").context("rustc does not tell its host")?;
    let llvm = field(&version, "LLVM version: ").context("rustc does not tell its LLVM")?;
    let llvm = llvm.split('.').next().unwrap_or(llvm);
    let root = process::output(workspace::rustc().args(["--print", "sysroot"]), deadline)?;
    let component = Path::new(root.trim())
        .join("lib/rustlib")
        .join(host)
        .join("bin");
    let numbered = |name: &str| PathBuf::from(format!("{name}-{llvm}"));
    for (merge, export) in [
        (component.join("llvm-profdata"), component.join("llvm-cov")),
        (numbered("llvm-profdata"), numbered("llvm-cov")),
    ] {
        if answers(&merge, deadline) && answers(&export, deadline) {
            return Ok(Tools { merge, export });
        }
    }
    bail!("no tools of LLVM {llvm}; `rustup component add llvm-tools`, or a package llvm-{llvm}")
}

/// What stands behind a name in the compiler's account of itself.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

fn answers(tool: &Path, deadline: Deadline) -> bool {
    let mut command = Command::new(tool);
    command.arg("--version").stderr(Stdio::null());
    process::output(&mut command, deadline).is_ok()
}

impl Tools {
    /// How often each line was run, in the format lcov, of all programs together.
    pub(super) fn read(
        &self,
        folder: &Path,
        profiles: &Path,
        programs: &[PathBuf],
        deadline: Deadline,
    ) -> Result<String> {
        let merged = folder.join("all.profdata");
        let mut merge = Command::new(&self.merge);
        // A process that a test killed may have left half a file.
        merge.args(["merge", "-sparse", "-failure-mode=all", "-o"]);
        merge.arg(&merged).args(written(profiles)?);
        process::run(&mut merge, deadline)?;
        let mut export = Command::new(&self.export);
        export.args(["export", "-format=lcov", "-instr-profile"]);
        export.arg(&merged);
        for program in programs {
            export.arg("-object").arg(program);
        }
        process::output(&mut export, deadline)
    }
}

/// The files that the runs have written.
fn written(profiles: &Path) -> Result<Vec<PathBuf>> {
    let folder = fs::read_dir(profiles)
        .with_context(|| format!("the runs wrote nothing to {}", profiles.display()))?;
    let mut files = Vec::new();
    for entry in folder {
        let path = entry.context("cannot list the runs' counters")?.path();
        if path.extension() == Some(OsStr::new("profraw")) {
            files.push(path);
        }
    }
    ensure!(!files.is_empty(), "the runs wrote no counters");
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let text = "rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\nLLVM version: 22.1.2\n";
        assert_eq!(field(text, "host: "), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(field(text, "LLVM version: "), Some("22.1.2"));
        assert_eq!(field(text, "release: "), None);
    }

    #[test]
    fn nothing_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(written(&folder.path().join("absent")).is_err());
        assert!(written(folder.path()).is_err());
        fs::write(folder.path().join("1-2.profraw"), "").unwrap();
        assert_eq!(written(folder.path()).unwrap().len(), 1);
    }
}
