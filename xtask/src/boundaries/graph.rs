//! The crate graph's laws, as functions over what cargo says of the packages.
//!
//! Called by `boundaries`. Each returns what is wrong, in words; nothing means all is well.

use crate::metadata::{Dependency, Package};

/// The layers, lowest first. A crate may use only the ones before it, in its tests too.
const LAYERS: [&str; 5] = [
    "tofu-msg",
    "tofu-addr",
    "tofu-engine",
    "tofu-chnls",
    "tofu-net",
];

/// Beside the layers: tests may use it, and what it needs of the engine is optional.
const TESTKIT: &str = "tofu-testkit";

/// All that the message crate may depend on outside its tests and its features.
const CODEC_NEEDS: [&str; 2] = ["bytemuck", "thiserror"];

/// Arrows that run up, and layers that are not there.
pub(super) fn upward_arrows(packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    for (height, layer) in LAYERS.iter().enumerate() {
        match packages.iter().find(|package| package.name == *layer) {
            None => findings.push(format!("{layer}: no such package")),
            Some(package) => {
                let wrong = package
                    .dependencies
                    .iter()
                    .filter_map(|item| fault(height, item));
                findings.extend(wrong.map(|fault| format!("{layer}: {fault}")));
            }
        }
    }
    findings.extend(heavy_testkit(packages));
    findings
}

/// What is wrong with a dependency of the layer at `height`.
fn fault(height: usize, dependency: &Dependency) -> Option<String> {
    let name = &dependency.name;
    if name == TESTKIT && !dependency.is_dev {
        return Some(format!("uses {TESTKIT} outside its tests"));
    }
    if name == TESTKIT && dependency.requirement != "*" {
        return Some(format!(
            "uses {TESTKIT} with a version; a path alone can be published"
        ));
    }
    let above = LAYERS.iter().skip(height);
    above
        .into_iter()
        .any(|layer| layer == name)
        .then(|| format!("depends on {name}, not below it"))
}

/// The test helpers serve the layers below the engine too, so they must build without it.
fn heavy_testkit(packages: &[Package]) -> Option<String> {
    let testkit = packages.iter().find(|package| package.name == TESTKIT)?;
    let heavy = testkit.dependencies.iter().find(|item| {
        LAYERS.iter().skip(2).any(|layer| *layer == item.name) && !item.is_optional && !item.is_dev
    })?;
    Some(format!("{TESTKIT}: {} is not optional", heavy.name))
}

/// What the message crate needs and should not, and the other way round.
pub(super) fn needs_of_the_codec(packages: &[Package]) -> Vec<String> {
    let Some(codec) = packages.iter().find(|package| package.name == LAYERS[0]) else {
        return vec![format!("{}: no such package", LAYERS[0])];
    };
    let needs = codec.dependencies.iter();
    let needs = needs.filter(|item| !item.is_dev && !item.is_optional);
    let further = needs.filter(|item| !CODEC_NEEDS.contains(&item.name.as_str()));
    further
        .map(|item| format!("{} depends on {}", codec.name, item.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(name: &str) -> Dependency {
        Dependency {
            name: name.to_owned(),
            is_dev: false,
            is_optional: false,
            requirement: "^0.1.0".to_owned(),
        }
    }

    fn package(name: &str, dependencies: Vec<Dependency>) -> Package {
        let name = name.to_owned();
        Package {
            name,
            manifest_path: String::new(),
            rust_version: None,
            dependencies,
        }
    }

    /// Every layer on the one below it.
    fn sound() -> Vec<Package> {
        let below = [
            None,
            Some(LAYERS[0]),
            Some(LAYERS[1]),
            Some(LAYERS[2]),
            Some(LAYERS[3]),
        ];
        let pairs = LAYERS.iter().zip(below);
        pairs
            .map(|(name, below)| package(name, below.into_iter().map(dependency).collect()))
            .collect()
    }

    #[test]
    fn a_sound_graph_has_no_findings() {
        assert_eq!(upward_arrows(&sound()), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_up_is_found_in_tests_too() {
        let mut packages = sound();
        packages[1].dependencies.push(dependency("tofu-chnls"));
        packages[0].dependencies.push(Dependency {
            is_dev: true,
            ..dependency("tofu-addr")
        });
        let findings = upward_arrows(&packages);
        assert_eq!(
            findings,
            [
                "tofu-msg: depends on tofu-addr, not below it",
                "tofu-addr: depends on tofu-chnls, not below it"
            ]
        );
    }

    #[test]
    fn a_missing_layer_is_found() {
        let mut packages = sound();
        packages.remove(3);
        assert_eq!(upward_arrows(&packages), ["tofu-chnls: no such package"]);
    }

    #[test]
    fn the_testkit_is_for_tests_by_path_and_light() {
        let mut packages = sound();
        packages[0].dependencies.push(dependency(TESTKIT));
        packages[1].dependencies.push(Dependency {
            is_dev: true,
            ..dependency(TESTKIT)
        });
        let by_path = Dependency {
            is_dev: true,
            requirement: "*".to_owned(),
            ..dependency(TESTKIT)
        };
        packages[2].dependencies.push(by_path);
        packages.push(package(TESTKIT, vec![dependency("tofu-engine")]));
        let findings = upward_arrows(&packages);
        assert_eq!(findings.len(), 3, "{findings:?}");
        assert!(findings[0].starts_with("tofu-msg: uses tofu-testkit outside"));
        assert!(findings[1].starts_with("tofu-addr: uses tofu-testkit with a version"));
        assert!(findings[2].ends_with("tofu-engine is not optional"));
    }

    #[test]
    fn a_further_need_of_the_codec_is_found() {
        let dev = Dependency {
            is_dev: true,
            ..dependency("proptest")
        };
        let optional = Dependency {
            is_optional: true,
            ..dependency("tokio-util")
        };
        let needs = vec![dependency("bytemuck"), dev, optional];
        let mut packages = vec![package("tofu-msg", needs)];
        assert!(needs_of_the_codec(&packages).is_empty());
        packages[0].dependencies.push(dependency("mio"));
        assert_eq!(needs_of_the_codec(&packages), ["tofu-msg depends on mio"]);
        assert_eq!(needs_of_the_codec(&[]), ["tofu-msg: no such package"]);
    }
}
