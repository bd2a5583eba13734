//! What `cargo metadata` says of the workspace's own packages.
//!
//! Read by `boundaries` and `examples`. Parsing is apart from asking, so tests can plant answers.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::deadline::Deadline;
use crate::{process, workspace};

/// A package of the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: String,
    /// The oldest Rust that it promises to build with.
    pub(crate) rust_version: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a package's dependencies.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    /// The name of the package, not the name that it may have been given in the manifest.
    pub(crate) name: String,
    pub(crate) is_dev: bool,
    pub(crate) is_optional: bool,
    /// The version requirement; `*` where the manifest names none.
    pub(crate) requirement: String,
}

/// Asks cargo for the packages of the workspace.
pub(crate) fn packages(deadline: Deadline) -> Result<Vec<Package>> {
    let mut command = workspace::cargo();
    command.args(["metadata", "--format-version", "1", "--no-deps"]);
    let text = process::output(&mut command, deadline)?;
    let value: Value = serde_json::from_str(&text).context("cargo metadata printed no JSON")?;
    parse(&value)
}

/// Reads the packages out of what cargo printed.
pub(crate) fn parse(metadata: &Value) -> Result<Vec<Package>> {
    array(metadata, "packages")?
        .iter()
        .map(parse_package)
        .collect()
}

fn parse_package(package: &Value) -> Result<Package> {
    let dependencies = array(package, "dependencies")?.iter().map(parse_dependency);
    Ok(Package {
        name: string(package, "name")?,
        manifest_path: string(package, "manifest_path")?,
        rust_version: package["rust_version"].as_str().map(str::to_owned),
        dependencies: dependencies.collect::<Result<_>>()?,
    })
}

fn parse_dependency(dependency: &Value) -> Result<Dependency> {
    Ok(Dependency {
        name: string(dependency, "name")?,
        is_dev: dependency["kind"] == "dev",
        is_optional: dependency["optional"] == true,
        requirement: string(dependency, "req")?,
    })
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key]
        .as_array()
        .with_context(|| format!("cargo metadata: no list `{key}`"))
}

fn string(value: &Value, key: &str) -> Result<String> {
    let text = value[key]
        .as_str()
        .with_context(|| format!("cargo metadata: no text `{key}`"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_packages_and_their_dependencies() {
        let packages = parse(&json!({"packages": [{
            "name": "upper",
            "manifest_path": "/somewhere/Cargo.toml",
            "rust_version": "1.85",
            "dependencies": [
                {"name": "lower", "kind": null, "optional": false, "req": "^0.1.0"},
                {"name": "helper", "kind": "dev", "optional": false, "req": "*"},
            ],
        }]}))
        .unwrap();
        assert_eq!(packages[0].name, "upper");
        assert_eq!(packages[0].rust_version.as_deref(), Some("1.85"));
        let dev: Vec<bool> = packages[0]
            .dependencies
            .iter()
            .map(|item| item.is_dev)
            .collect();
        assert_eq!(dev, [false, true]);
        assert_eq!(packages[0].dependencies[1].requirement, "*");
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        assert!(parse(&json!({})).is_err());
        assert!(parse(&json!({"packages": [{"name": 7}]})).is_err());
    }
}
