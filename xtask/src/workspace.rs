//! Where the workspace is, and which cargo works on it.
//!
//! Used by every command; knows nothing of what they check.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::process;

/// A tool that is there tells its version at once.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The workspace's top level.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// `cargo` in the workspace's top level, with the toolchain that runs us.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The compiler that stands beside our `cargo`.
pub(crate) fn rustc() -> Command {
    let cargo = env::var_os("CARGO").map(PathBuf::from);
    let beside = cargo.map(|cargo| cargo.with_file_name("rustc"));
    Command::new(beside.unwrap_or_else(|| PathBuf::from("rustc")))
}

/// `cargo +TOOLCHAIN` in the workspace's top level. Only rustup's `cargo` knows the plus, and it is
/// the one on the search path; the variable `CARGO` names the toolchain's own.
pub(crate) fn cargo_of(toolchain: &str) -> Command {
    let mut command = Command::new("cargo");
    command.arg(format!("+{toolchain}")).current_dir(root());
    command
}

/// Whether the toolchain, and in it the command that is asked for, is installed.
pub(crate) fn has(toolchain: &str, arguments: &[&str]) -> bool {
    let mut command = cargo_of(toolchain);
    command.args(arguments).stderr(Stdio::null());
    process::output(&mut command, Deadline::after(ANSWER_LIMIT)).is_ok()
}

/// The build folder, for what a command keeps between two runs.
pub(crate) fn target_directory() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}
