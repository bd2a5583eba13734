//! The check of the top level: nothing missing, nothing further.
//!
//! Called by `tidy`. Whoever opens the project first should see what it is made of at one glance.

use std::collections::BTreeSet;

/// All that stands at the top level, beside files whose names begin with a dot.
const EXPECTED: [&str; 16] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "benches",
    "clippy.toml",
    "crates",
    "deny.toml",
    "examples",
    "fuzz",
    "rustfmt.toml",
    "xtask",
];

/// What is missing and what is too much, in words.
pub(super) fn check(paths: &[String]) -> Vec<String> {
    let first_parts = paths.iter().filter_map(|path| path.split('/').next());
    let present: BTreeSet<&str> = first_parts.filter(|name| !name.starts_with('.')).collect();
    let expected = BTreeSet::from(EXPECTED);
    let missing = expected
        .difference(&present)
        .map(|name| format!("{name} is missing"));
    let further = present
        .difference(&expected)
        .map(|name| format!("{name} does not belong here"));
    missing.chain(further).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Vec<String> {
        EXPECTED.map(str::to_owned).to_vec()
    }

    #[test]
    fn exactly_what_is_expected_passes() {
        let mut paths = sound();
        assert!(check(&paths).is_empty());
        paths.push(".ci/run".to_owned());
        paths.push("crates/tofu-msg/src/lib.rs".to_owned());
        assert!(check(&paths).is_empty());
    }

    #[test]
    fn what_is_missing_or_too_much_is_found() {
        let mut paths = sound();
        paths.retain(|path| path != "README.md");
        paths.push("notes/idea.txt".to_owned());
        assert_eq!(
            check(&paths),
            ["README.md is missing", "notes does not belong here"]
        );
    }
}
