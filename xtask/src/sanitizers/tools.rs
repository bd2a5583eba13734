//! How each tool is had, built for, and told where to write.
//!
//! Called by `sanitizers`. The sanitizers are part of the nightly compiler; valgrind runs what the
//! usual one builds. Each tool has a build folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Kind;
use crate::deadline::Deadline;
use crate::{process, workspace};

/// A tool that is there tells its version at once.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The toolchain that has the sanitizers.
const NIGHTLY: &str = "nightly";

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Address => "address",
            Kind::Thread => "thread",
            Kind::Memcheck => "memcheck",
        }
    }
}

/// Why the tool cannot be used here.
pub(super) fn missing(kind: Kind) -> Result<(), String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("tried on x86-64 Linux only".to_owned());
    }
    if kind == Kind::Memcheck {
        let has = answer(Command::new("valgrind").arg("--version")).is_ok();
        return has.then_some(()).ok_or("no valgrind".to_owned());
    }
    if !workspace::has(NIGHTLY, &["--version"]) {
        return Err("no nightly toolchain; `rustup toolchain install nightly`".to_owned());
    }
    let has_sources = || sources().is_ok_and(|folder| folder.is_dir());
    if kind == Kind::Thread && !has_sources() {
        return Err(
            "no sources of the standard library, without which its own locks look like \
                    races; `rustup component add rust-src --toolchain nightly`"
                .to_owned(),
        );
    }
    Ok(())
}

/// Where the standard library's sources are if they are installed.
fn sources() -> Result<PathBuf> {
    let toolchain = format!("+{NIGHTLY}");
    // Only rustup's compiler knows the plus, and it is the one on the search path.
    let root = answer(Command::new("rustc").args([&toolchain, "--print", "sysroot"]))?;
    Ok(Path::new(root.trim()).join("lib/rustlib/src/rust/library"))
}

fn answer(command: &mut Command) -> Result<String> {
    process::output(command.stderr(Stdio::null()), Deadline::after(ANSWER_LIMIT))
}

/// The folder of a tool, for what it builds and what it finds.
pub(super) fn folder(kind: Kind) -> PathBuf {
    workspace::target_directory().join("san").join(kind.name())
}

/// `cargo test` for the tool, without the names of what to test.
pub(super) fn cargo_test(kind: Kind) -> Result<Command> {
    let mut command = match kind {
        Kind::Memcheck => workspace::cargo(),
        Kind::Address | Kind::Thread => workspace::cargo_of(NIGHTLY),
    };
    command.arg("test").env("CARGO_TARGET_DIR", folder(kind));
    // Tests that panic on purpose would spend more time on it than others wait for them.
    command.env("RUST_BACKTRACE", "0");
    match kind {
        // The older valgrinds of the distributions read no newer debug information.
        Kind::Memcheck => command.env("RUSTFLAGS", "-C dwarf-version=4"),
        Kind::Address => command.env("RUSTFLAGS", "-Zsanitizer=address"),
        Kind::Thread => {
            // The standard library is built along, for accesses in it count as well.
            let command = command.arg("-Zbuild-std");
            command.env("RUSTFLAGS", "-Zsanitizer=thread")
        }
    };
    if kind != Kind::Memcheck {
        // With a target, build scripts and macros are built without the sanitizer.
        command.args(["--target", &host()?]);
    }
    Ok(command)
}

/// The machine's own target.
fn host() -> Result<String> {
    let version = answer(workspace::rustc().arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not tell its host")?.to_owned())
}

/// Has the tool write what it finds into the folder, a file per process.
pub(super) fn report_to(kind: Kind, folder: &Path, command: &mut Command) {
    let file = folder.join("process").display().to_string();
    match kind {
        Kind::Address => command.env("ASAN_OPTIONS", format!("log_path={file}:detect_leaks=1")),
        Kind::Thread => command.env("TSAN_OPTIONS", format!("log_path={file}")),
        Kind::Memcheck => command.env(
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
            valgrind(&file).join(" "),
        ),
    };
}

/// Valgrind leaves a file, empty if all is well, for each process; without one it was not used.
pub(super) fn was_at_work(kind: Kind, folder: &Path) -> Result<()> {
    let mut files = fs::read_dir(folder).context("cannot list what was found")?;
    ensure!(
        kind != Kind::Memcheck || files.next().is_some(),
        "no process ran under valgrind"
    );
    Ok(())
}

/// A leak is an error only if nothing points to it any more: what threads own that have not ended
/// when the process exits is still pointed to.
fn valgrind(file: &str) -> Vec<String> {
    let fixed = [
        "valgrind",
        "--quiet",
        "--error-exitcode=99",
        "--leak-check=full",
        "--show-leak-kinds=definite",
        "--errors-for-leak-kinds=definite",
        "--trace-children=yes",
        "--fair-sched=yes",
        "--num-callers=30",
    ];
    let words = fixed.map(str::to_owned).into_iter();
    words.chain([format!("--log-file={file}.%p")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_builds_apart_and_is_told_where_to_write() {
        let mut command = Command::new("cargo");
        report_to(Kind::Memcheck, Path::new("/a"), &mut command);
        let (_, runner) = command.get_envs().next().unwrap();
        let runner = runner.unwrap().to_string_lossy();
        assert!(runner.starts_with("valgrind ") && runner.ends_with("--log-file=/a/process.%p"));
        assert_ne!(folder(Kind::Address), folder(Kind::Thread));
    }

    #[test]
    fn a_valgrind_that_was_not_used_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(was_at_work(Kind::Memcheck, folder.path()).is_err());
        was_at_work(Kind::Address, folder.path()).unwrap();
        fs::write(folder.path().join("process.1"), "").unwrap();
        was_at_work(Kind::Memcheck, folder.path()).unwrap();
    }
}
