//! From the counters of all lines to those of the lines that are shipped.
//!
//! Called by `coverage`. Only files of the workspace's crates count, and of these not what stands
//! behind `#[cfg(test)]`: neither items nor the files of modules that are declared so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::source;

/// The counted lines of one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileLines {
    /// From the workspace's top level.
    pub(super) path: String,
    pub(super) count: usize,
    /// Those that no test reached, ascending.
    pub(super) missed: Vec<usize>,
}

/// Reads the format lcov and leaves what users of the crates compile, in the order of the paths.
pub(super) fn shipped(lcov: &str, root: &Path) -> Result<Vec<FileLines>> {
    let reached = read(lcov, root);
    let mut test_modules = BTreeSet::new();
    for path in declaring(reached.keys(), root) {
        test_modules.extend(modules_only_for_tests(&path, &code(&path, root)?));
    }
    let mut files = Vec::new();
    for (path, lines) in reached {
        if !source::is_test_path(&path) && !is_below(&path, &test_modules) {
            let kept = source::without_tests(&code(&path, root)?);
            files.push(count(path, &lines, &kept));
        }
    }
    Ok(files)
}

/// A file without comments and literals.
fn code(path: &str, root: &Path) -> Result<String> {
    let text = fs::read_to_string(root.join(path));
    let text = text.with_context(|| format!("cannot read {path}"))?;
    Ok(source::without_text(&text))
}

/// The files that may declare the modules of these files: one that only declares has no line that
/// could be counted.
fn declaring<'a>(paths: impl Iterator<Item = &'a String>, root: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for path in paths {
        for folder in Path::new(path).ancestors().skip(1) {
            let beside = ["mod.rs", "lib.rs", "main.rs"].map(|name| folder.join(name));
            let candidates = beside.into_iter().chain([folder.with_extension("rs")]);
            let present = candidates.filter(|file| root.join(file).is_file());
            files.extend(present.filter_map(|file| file.to_str().map(str::to_owned)));
        }
    }
    files
}

/// How often each line of each file of the workspace's crates was run.
fn read(lcov: &str, root: &Path) -> BTreeMap<String, BTreeMap<usize, u64>> {
    let mut files: BTreeMap<String, BTreeMap<usize, u64>> = BTreeMap::new();
    let mut file = None;
    for line in lcov.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            let path = Path::new(path).strip_prefix(root).ok();
            let path = path
                .and_then(Path::to_str)
                .filter(|path| path.starts_with("crates/"));
            file = path.map(|path| files.entry(path.to_owned()).or_default());
        } else if let (Some(lines), Some(entry)) = (&mut file, line.strip_prefix("DA:")) {
            if let Some((number, runs)) = parse(entry) {
                *lines.entry(number).or_default() += runs;
            }
        }
    }
    files
}

/// A line's number and how often it was run.
fn parse(entry: &str) -> Option<(usize, u64)> {
    let (number, runs) = entry.split_once(',')?;
    let runs = runs.split(',').next()?;
    Some((number.parse().ok()?, runs.parse().ok()?))
}

/// `kept` has the file's lines, blank where only tests compile them.
fn count(path: String, lines: &BTreeMap<usize, u64>, kept: &str) -> FileLines {
    let kept: Vec<bool> = kept.lines().map(|line| !line.trim().is_empty()).collect();
    let is_kept = |number: usize| number > 0 && kept.get(number - 1).copied().unwrap_or(false);
    let counted: Vec<(usize, u64)> = lines
        .iter()
        .map(|(number, runs)| (*number, *runs))
        .filter(|(number, _)| is_kept(*number))
        .collect();
    let missed = counted.iter().filter(|(_, runs)| *runs == 0);
    FileLines {
        path,
        count: counted.len(),
        missed: missed.map(|(number, _)| *number).collect(),
    }
}

/// The files, without `.rs`, of the modules that a file declares for tests alone.
fn modules_only_for_tests(path: &str, code: &str) -> Vec<PathBuf> {
    let kept = source::without_tests(code);
    let folder = match path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => PathBuf::from(folder),
        _ => Path::new(path).with_extension(""),
    };
    let gone = code
        .lines()
        .zip(kept.lines())
        .filter(|(line, kept)| line != kept);
    gone.filter_map(|(line, _)| declared_module(line))
        .map(|name| folder.join(name))
        .collect()
}

/// The name in `mod name;`, with whatever visibility.
fn declared_module(line: &str) -> Option<&str> {
    let (_, name) = line.trim().strip_suffix(';')?.rsplit_once("mod ")?;
    name.chars().all(source::is_word).then_some(name)
}

fn is_below(path: &str, modules: &BTreeSet<PathBuf>) -> bool {
    let path = Path::new(path).with_extension("");
    path.ancestors().any(|part| modules.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace with one crate, in which a file without a line declares another for tests.
    fn workspace() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("crates/a/src/b");
        fs::create_dir_all(&folder).unwrap();
        let library =
            "mod b;\nfn f() {\n    g();\n}\n#[cfg(test)]\nmod tests {\n    fn t() {}\n}\n";
        fs::write(root.path().join("crates/a/src/lib.rs"), library).unwrap();
        fs::write(
            root.path().join("crates/a/src/b.rs"),
            "mod c;\nmod d;\nfn g() {}\n",
        )
        .unwrap();
        fs::create_dir(folder.join("c")).unwrap();
        fs::write(
            folder.join("c/mod.rs"),
            "#[cfg(test)]\npub(crate) mod kit;\n",
        )
        .unwrap();
        fs::write(folder.join("c/kit.rs"), "fn help() {}\n").unwrap();
        root
    }

    fn lcov(root: &Path) -> String {
        let root = root.display();
        format!(
            "SF:{root}/crates/a/src/b/c/kit.rs\nDA:1,0\nend_of_record\n\
             SF:{root}/crates/a/src/lib.rs\nDA:2,1\nDA:3,0\nDA:4,0\nDA:7,0\nend_of_record\n\
             SF:{root}/crates/a/src/lib.rs\nDA:4,2,x\nend_of_record\n\
             SF:{root}/crates/a/src/b.rs\nDA:3,7\nDA:broken\nend_of_record\n\
             SF:/elsewhere/lib.rs\nDA:1,0\nend_of_record\n\
             SF:{root}/xtask/src/main.rs\nDA:1,0\nend_of_record\n"
        )
    }

    #[test]
    fn only_shipped_lines_of_the_crates_count() {
        let root = workspace();
        let files = shipped(&lcov(root.path()), root.path()).unwrap();
        let file = |path: &str, count, missed: &[usize]| FileLines {
            path: path.to_owned(),
            count,
            missed: missed.to_vec(),
        };
        let expected = [
            file("crates/a/src/b.rs", 1, &[]),
            file("crates/a/src/lib.rs", 3, &[3]),
        ];
        assert_eq!(files, expected);
    }

    #[test]
    fn a_file_that_is_gone_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        assert!(shipped(&lcov(root.path()), root.path()).is_err());
    }

    #[test]
    fn module_declarations_are_recognised() {
        assert_eq!(declared_module("    mod kit;"), Some("kit"));
        assert_eq!(declared_module("pub(crate) mod kit;"), Some("kit"));
        assert_eq!(declared_module("mod kit {"), None);
        assert_eq!(declared_module("use a::b;"), None);
    }
}
