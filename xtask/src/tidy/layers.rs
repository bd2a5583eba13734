//! Checks of what a part of tofu-engine may name.
//!
//! Called by `tidy`. The core takes time and bytes as arguments, so that it runs under a simulated
//! network and clock; and what threads share comes from one module, so that there is one place to
//! see and to change it. Tests are free to name what they like.

use super::{File, Finding};
use crate::names::{Name, names};

/// The tree without input and output.
const CORE: &str = "crates/tofu-engine/src/core";

/// What it must not name: sockets, threads, clocks and locks.
const DRIVER: [&str; 15] = [
    "mio",
    "std::net",
    "std::thread",
    "Instant",
    "SystemTime",
    "Mutex",
    "RwLock",
    "Condvar",
    "Atomic*",
    "parking_lot",
    "crate::sync",
    "std::sync",
    "crossbeam*",
    "socket2",
    "rustix",
];

/// The engine's sources, and the only module of them that names what threads share.
const ENGINE: &str = "crates/tofu-engine/src/";
const SYNC: [&str; 2] = [
    "crates/tofu-engine/src/sync.rs",
    "crates/tofu-engine/src/sync/",
];

/// The names that it stands for.
const SHARED: [&str; 5] = [
    "std::sync",
    "core::sync",
    "parking_lot",
    "crossbeam*",
    "spin::mutex",
];

pub(super) fn core_without_driver(file: &File) -> Vec<Finding> {
    let rest = file.path.strip_prefix(CORE);
    if !rest.is_some_and(|rest| rest.starts_with('/') || rest == ".rs") {
        return Vec::new();
    }
    find(file, &DRIVER, "the core names")
}

pub(super) fn locks_in_one_place(file: &File) -> Vec<Finding> {
    let exempt = SYNC.iter().any(|module| file.path.starts_with(module));
    if !file.path.starts_with(ENGINE) || exempt {
        return Vec::new();
    }
    find(file, &SHARED, "outside of sync.rs:")
}

fn find(file: &File, patterns: &[&str], what: &str) -> Vec<Finding> {
    let is_banned = |name: &Name| patterns.iter().any(|pattern| name.matches(pattern));
    let banned = names(&file.shipped).into_iter().filter(is_banned);
    banned
        .map(|name| Finding::new(file, name.line, format!("{what} `{}`", name.path)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(text: &str) -> Vec<usize> {
        let file = File::new("crates/tofu-engine/src/core/channel.rs", text);
        core_without_driver(&file)
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn every_banned_name_is_found_in_the_core() {
        for pattern in DRIVER {
            let name = pattern.replace('*', "Word");
            assert_eq!(core(&format!("\nuse {name};\n")), [2], "{name}");
            assert_eq!(core(&format!("fn f() {{ {name}::g() }}\n")), [1], "{name}");
        }
        assert_eq!(core("use std::{io, net::TcpStream};\n"), [1]);
        assert_eq!(
            core("use std::time::{\n    Duration,\n    Instant,\n};\n"),
            [3]
        );
    }

    #[test]
    fn comments_tests_and_other_names_are_free() {
        assert!(core("//! No mio, no Instant.\nuse std::time::Duration;\n").is_empty());
        assert!(core("#[cfg(test)]\nmod tests { use std::net::TcpStream; }\n").is_empty());
        assert!(core("struct InstantReply;\nfn network() {}\n").is_empty());
    }

    #[test]
    fn only_the_core_is_so_strict() {
        let find = |path: &str| core_without_driver(&File::new(path, "use mio::Poll;\n")).len();
        assert_eq!(find("crates/tofu-engine/src/core.rs"), 1);
        assert_eq!(find("crates/tofu-engine/src/core/tests.rs"), 0);
        assert_eq!(find("crates/tofu-engine/src/core_options.rs"), 0);
        assert_eq!(find("crates/tofu-engine/src/driver/poll.rs"), 0);
    }

    #[test]
    fn locks_outside_of_their_place_are_found() {
        let find = |path: &str, text: &str| locks_in_one_place(&File::new(path, text)).len();
        let inbox = "crates/tofu-engine/src/inbox.rs";
        for text in [
            "use std::sync::Arc;\n",
            "use parking_lot::Mutex;\n",
            "use core::sync::atomic;\n",
            "use spin::mutex::SpinMutex;\n",
        ] {
            assert_eq!(find(inbox, text), 1, "{text}");
            assert_eq!(find(SYNC[0], text), 0, "{text}");
            assert_eq!(
                find("crates/tofu-engine/src/sync/model.rs", text),
                0,
                "{text}"
            );
            assert_eq!(find("crates/tofu-chnls/src/lib.rs", text), 0, "{text}");
        }
        assert_eq!(find(inbox, "use crossbeam_queue::ArrayQueue;\n"), 1);
        assert_eq!(find(inbox, "use crate::sync::Mutex;\n"), 0);
    }
}
