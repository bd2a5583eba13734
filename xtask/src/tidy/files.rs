//! The files that the checks look at: what git tracks or would track, and only text.
//!
//! Called by `tidy`. Build folders and fuzzing corpora never get here.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::deadline::Deadline;
use crate::{process, source, workspace};

/// Listing the files is quick, or something is wrong.
const LISTING_LIMIT: Duration = Duration::from_secs(30);

/// A text file of the project.
#[derive(Debug)]
pub(super) struct File {
    /// From the workspace's top level, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// Rust without comments and literals, line for line; empty for other files.
    pub(super) code: String,
    /// The same without what only tests compile.
    pub(super) shipped: String,
}

impl File {
    pub(super) fn new(path: &str, text: &str) -> File {
        let is_rust = has_extension(path, &["rs"]);
        let code = if is_rust {
            source::without_text(text)
        } else {
            String::new()
        };
        let shipped = match source::is_test_path(path) {
            true => String::new(),
            false => source::without_tests(&code),
        };
        File {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            shipped,
        }
    }

    pub(super) fn is_rust(&self) -> bool {
        has_extension(&self.path, &["rs"])
    }

    /// A file that holds nothing but tests.
    pub(super) fn is_test(&self) -> bool {
        source::is_test_path(&self.path)
    }
}

/// The paths of all files that git tracks or would track, and that are there.
pub(super) fn paths() -> Result<Vec<String>> {
    let mut command = Command::new("git");
    command.args([
        "-c",
        "core.quotePath=off",
        "ls-files",
        "--cached",
        "--others",
    ]);
    command
        .args(["--exclude-standard", "--deduplicate"])
        .current_dir(workspace::root());
    let listing = process::output(&mut command, Deadline::after(LISTING_LIMIT))?;
    let present = listing
        .lines()
        .filter(|path| workspace::root().join(path).is_file());
    Ok(present.map(str::to_owned).collect())
}

/// Reads those of the files that hold text.
pub(super) fn read_texts(paths: &[String]) -> Result<Vec<File>> {
    let texts = paths.iter().filter(|path| is_text(path));
    texts.map(|path| read_text(path)).collect()
}

fn read_text(path: &str) -> Result<File> {
    let text = fs::read_to_string(workspace::root().join(path));
    Ok(File::new(
        path,
        &text.with_context(|| format!("cannot read {path} as text"))?,
    ))
}

/// By name: a fuzzing corpus may look like text and is none.
fn is_text(path: &str) -> bool {
    let extensions = [
        "rs", "toml", "md", "json", "yml", "yaml", "sh", "txt", "lock", "html",
    ];
    let names = [
        "LICENSE-MIT",
        "LICENSE-APACHE",
        ".gitignore",
        ".gitattributes",
    ];
    let name = path.rsplit('/').next().unwrap_or(path);
    !path.starts_with("fuzz/corpus/")
        && (has_extension(path, &extensions) || names.contains(&name) || path.starts_with(".ci/"))
}

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(path).extension().and_then(|text| text.to_str());
    extension.is_some_and(|extension| extensions.contains(&extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_by_name() {
        for path in [
            "crates/a/src/lib.rs",
            "README.md",
            ".ci/run",
            "LICENSE-MIT",
            "Cargo.lock",
        ] {
            assert!(is_text(path), "{path}");
        }
        for path in ["fuzz/corpus/header/a.txt", "picture.png", "crates/a/seed"] {
            assert!(!is_text(path), "{path}");
        }
    }

    #[test]
    fn a_test_file_ships_nothing() {
        let code = "fn helper() {}\n";
        for path in [
            "crates/a/tests/it.rs",
            "crates/a/src/b/tests.rs",
            "src/tests/x.rs",
        ] {
            let file = File::new(path, code);
            assert!(
                file.is_test() && file.shipped.is_empty() && !file.code.is_empty(),
                "{path}"
            );
        }
        let file = File::new("crates/a/src/contests.rs", code);
        assert!(!file.is_test() && file.shipped.contains("helper"));
    }

    #[test]
    fn the_files_of_this_package_are_found() {
        let paths = paths().unwrap();
        assert!(paths.iter().any(|path| path == "xtask/src/tidy/files.rs"));
        assert!(!paths.iter().any(|path| path.starts_with("target/")));
    }
}
