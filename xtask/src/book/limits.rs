//! Holds the chapter about limits to `Options`: each option has its place there.

use anyhow::{Result, ensure};

const OPTIONS: &str = "crates/tofu-engine/src/options.rs";
const CHAPTER: &str = "crates/tofu/docs/limits.md";

pub(super) fn missing() -> Result<Vec<String>> {
    let source = super::read(OPTIONS)?;
    let names: Vec<&str> = source.lines().filter_map(option).collect();
    ensure!(!names.is_empty(), "no option was found in {OPTIONS}");
    let chapter = super::read(CHAPTER)?;
    let absent = names
        .iter()
        .filter(|name| !chapter.contains(&format!("`{name}`")));
    Ok(absent
        .map(|name| format!("{CHAPTER} does not tell of `{name}`"))
        .collect())
}

/// The name in a line like `    channels: usize = 10;`.
fn option(line: &str) -> Option<&str> {
    let declaration = line.strip_prefix("    ")?.strip_suffix(';')?;
    let (name, rest) = declaration.split_once(": ")?;
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (rest.contains(" = ") && name.bytes().all(is_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_told_from_other_lines() {
        assert_eq!(option("    lookups: usize = 1024;"), Some("lookups"));
        for line in [
            "    let x: u8 = 1;",
            "const KIB: usize = 1;",
            "    /// a: b = c;",
            "",
        ] {
            assert_eq!(option(line), None, "{line}");
        }
    }

    #[test]
    fn every_option_has_its_place() {
        assert_eq!(missing().unwrap(), Vec::<String>::new());
    }
}
