//! The helpers of tofu-chnls, which must use nothing that a program could not use itself.
//!
//! Called by `boundaries`. First their paths are looked at, which says where something is wrong. Then
//! the compiler has the last word: the very same files are checked as a module of a throw-away crate,
//! for which nothing of tofu-chnls is public but what is public for all. Not their tests.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::throwaway::{Throwaway, dependency_on};
use crate::deadline::Deadline;
use crate::names::names;
use crate::{source, workspace};

/// The helpers, and the crate root that says what is public.
const FOLDER: &str = "crates/tofu-chnls/src/helpers";
const ROOT: &str = "crates/tofu-chnls/src/lib.rs";

/// Paths in the helpers that lead out of them to something private.
pub(super) fn private_paths() -> Result<Vec<String>> {
    let root = workspace::root();
    let public = public_names(&read(&root.join(ROOT))?);
    let mut findings = Vec::new();
    let mut folders = vec![root.join(FOLDER)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder);
        for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(inside) = path.strip_prefix(root.join(FOLDER)) {
                let inside = inside.to_string_lossy();
                findings.extend(faults(&inside, &read(&path)?, &public));
            }
        }
    }
    findings.sort();
    Ok(findings)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What a crate root exports by `pub use` and `pub mod`.
fn public_names(text: &str) -> Vec<String> {
    let code = source::without_tests(&source::without_text(text));
    let mut public = Vec::new();
    for statement in code.split(';') {
        let is_export = |start| statement.contains(start);
        if is_export("pub use ") || is_export("pub mod ") {
            let found = names(statement).into_iter();
            let last = |path: &str| path.rsplit("::").next().unwrap_or(path).to_owned();
            public.extend(found.map(|name| last(&name.path)));
        }
    }
    public
}

/// What is wrong with one file; its path is that inside of the folder.
fn faults(inside: &str, text: &str, public: &[String]) -> Vec<String> {
    if !inside.ends_with(".rs") || source::is_test_path(inside) {
        return Vec::new();
    }
    let code = source::without_tests(&source::without_text(text));
    let found = names(&code).into_iter().filter_map(|name| {
        let fault = fault(&name.path, depth(inside), public)?;
        Some(format!("{FOLDER}/{inside}:{}: {fault}", name.line))
    });
    found.collect()
}

/// How many modules below `helpers` the module of a file is.
fn depth(inside: &str) -> usize {
    let slashes = inside.matches('/').count();
    slashes + usize::from(!inside.ends_with("mod.rs"))
}

fn fault(path: &str, depth: usize, public: &[String]) -> Option<String> {
    let parts: Vec<&str> = path.split("::").collect();
    let climbs = parts.iter().take_while(|part| **part == "super").count();
    match parts.as_slice() {
        ["crate", name, ..] if *name != "helpers" && !public.iter().any(|item| item == name) => {
            Some(format!("`{path}` is not public"))
        }
        ["tofu_engine", ..] => Some(format!("`{path}`: by way of `crate`, or not at all")),
        _ if climbs > depth => Some(format!("`{path}` leaves the helpers")),
        _ => None,
    }
}

/// Checks the helpers as a part of a crate that is not tofu-chnls.
pub(super) fn build_outside(deadline: Deadline) -> Result<()> {
    outside(workspace::root()).cargo("check", deadline)
}

/// It depends on everything that tofu-chnls itself depends on, but for the engine.
fn outside(root: &Path) -> Throwaway {
    let helpers = root.join(FOLDER).join("mod.rs").display().to_string();
    let layers = ["tofu-msg", "tofu-addr", "tofu-chnls"];
    let others = "thiserror = \"*\"\nparking_lot = \"*\"\n";
    Throwaway {
        name: "outside",
        file: "lib.rs",
        source: format!("pub use tofu_chnls::*;\n\n#[path = {helpers:?}]\npub mod helpers;\n"),
        dependencies: others.to_owned() + &layers.map(|layer| dependency_on(root, layer)).concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public() -> Vec<String> {
        public_names(
            "mod ampe;\n#[cfg(feature = \"async\")]\nmod hidden;\npub mod helpers;\nmod group;\n\n\
             pub use crate::ampe::Ampe;\n// pub use crate::group::Hidden;\n\
             pub use tofu_engine::{\n    Msg,\n    Options,\n};\n",
        )
    }

    fn found(inside: &str, text: &str) -> Vec<String> {
        faults(inside, text, &public())
    }

    #[test]
    fn exports_are_read_from_the_crate_root() {
        let public = public();
        for name in ["Ampe", "Msg", "Options", "helpers"] {
            assert!(public.iter().any(|item| item == name), "{name}");
        }
        for name in ["ampe", "group", "hidden", "Hidden"] {
            assert!(!public.iter().any(|item| item == name), "{name}");
        }
    }

    #[test]
    fn what_is_public_may_be_used() {
        let text = "use crate::helpers::post::Post;\nuse crate::{Ampe, Msg};\npub(crate) fn f() {}\n\
                    // crate::group::Group\nfn g(_: super::Reading) {}\n";
        assert_eq!(found("x.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_private_path_is_found_where_it_stands() {
        let text = "use crate::{Ampe,\n    group::Group};\nfn f() { crate::ampe::hidden() }\n";
        assert_eq!(
            found("x.rs", text),
            [
                "crates/tofu-chnls/src/helpers/x.rs:2: `crate::group::Group` is not public",
                "crates/tofu-chnls/src/helpers/x.rs:3: `crate::ampe::hidden` is not public"
            ]
        );
        let text = "use tofu_engine::Group;\n";
        assert_eq!(found("x.rs", text).len(), 1);
    }

    #[test]
    fn climbing_out_of_the_helpers_is_found() {
        let up = "use super::super::Hidden;\n";
        assert_eq!(found("x.rs", up).len(), 1);
        assert_eq!(found("x/mod.rs", up).len(), 1);
        assert_eq!(found("x/y.rs", up).len(), 0);
        assert_eq!(found("mod.rs", "use super::Hidden;\n").len(), 1);
        assert_eq!(found("x.rs", "use super::Shown;\n").len(), 0);
    }

    #[test]
    fn tests_are_free() {
        let text = "#[cfg(test)]\nmod tests { use super::super::super::X; use crate::group::G; }\n";
        assert!(found("x.rs", text).is_empty());
        assert!(found("x/tests.rs", "use crate::group::Group;\n").is_empty());
    }

    #[test]
    fn the_crate_outside_does_not_know_the_engine() {
        let dependencies = outside(Path::new("/some/where")).dependencies;
        let chnls = "tofu-chnls = { path = \"/some/where/crates/tofu-chnls\" }\n";
        assert!(dependencies.contains(chnls));
        assert!(!dependencies.contains("tofu-engine"));
    }
}
