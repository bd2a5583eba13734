//! `cargo xtask examples`: builds every example in release and runs each as its table says.
//!
//! The table (`table`) names the programs, their arguments and what they must print. A program
//! that is in the table but not built has failed, and so has one that is built but not in the
//! table: an example that nobody runs is a claim that nobody checks.

mod program;
mod running;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use self::program::Run;
use self::running::Running;
use self::table::RUNS;
use crate::deadline::Deadline;
use crate::process;
use crate::report::Report;
use crate::{metadata, workspace};

/// The list of examples for readers.
const README: &str = "examples/README.md";

/// The built programs by name.
type Programs = BTreeMap<String, PathBuf>;

pub(crate) fn run(deadline: Deadline) -> Report {
    let mut report = Report::new();
    let built = build(deadline);
    match &built {
        Err(error) => report.add("build", Err(anyhow::anyhow!("{error:#}"))),
        Ok(programs) => {
            report.add_findings("every example is run", &unnamed(RUNS, programs));
            match std::fs::read_to_string(workspace::root().join(README)) {
                Err(error) => report.add(README, Err(error.into())),
                Ok(text) => report.add_findings(README, &wrongly_listed(&text, programs)),
            }
        }
    }
    for run in RUNS {
        match &built {
            Err(_) => report.add_not_run(run.name, "the build failed"),
            Ok(programs) => report.add(run.name, run_together(run, programs, deadline)),
        }
    }
    report
}

/// Builds all programs of the packages below `examples/` and returns where they are.
fn build(deadline: Deadline) -> Result<Programs> {
    let directory = workspace::root().join("examples");
    let mut command = workspace::cargo();
    command.args(["build", "--release", "--bins", "--examples"]);
    command.arg("--message-format=json-render-diagnostics");
    for package in metadata::packages(deadline)? {
        if Path::new(&package.manifest_path).starts_with(&directory) {
            command.args(["--package", &package.name]);
        }
    }
    executables(&process::output(&mut command, deadline)?, &directory)
}

/// Reads out of cargo's messages which programs it built below `directory`.
fn executables(messages: &str, directory: &Path) -> Result<Programs> {
    let mut programs = Programs::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).context("cargo printed no JSON")?;
        let manifest = message["manifest_path"].as_str().unwrap_or_default();
        let name = message["target"]["name"].as_str();
        let path = message["executable"].as_str();
        let (Some(name), Some(path)) = (name, path) else {
            continue;
        };
        if Path::new(manifest).starts_with(directory) {
            programs.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    Ok(programs)
}

/// The programs that are built and that no run names.
fn unnamed(runs: &[Run], programs: &Programs) -> Vec<String> {
    let is_named = |name: &str| {
        runs.iter()
            .flat_map(|run| run.programs)
            .any(|item| item.name == name)
    };
    let unnamed = programs.keys().filter(|name| !is_named(name));
    unnamed
        .map(|name| format!("{name}: built, but not in the table of runs"))
        .collect()
}

/// The programs that have no row in the list for readers, and the rows of no program. A row begins
/// with the program's name: "| `echo` | ...".
fn wrongly_listed(readme: &str, programs: &Programs) -> Vec<String> {
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let unlisted = programs
        .keys()
        .filter(|name| !rows.contains(&name.as_str()))
        .map(|name| format!("{name}: not in the list"));
    let strange = rows
        .iter()
        .filter(|name| !programs.contains_key(**name))
        .map(|name| format!("{name}: in the list, but not built"));
    unlisted.chain(strange).collect()
}

/// Starts the programs of one run and waits for all; dropping them on an error kills them.
fn run_together(run: &Run, programs: &Programs, deadline: Deadline) -> Result<()> {
    let deadline = deadline.within(run.limit);
    println!("-- {}", run.name);
    let mut announced = String::new();
    let mut started = Vec::new();
    for program in run.programs {
        let mut running = Running::start(program, programs, &announced, deadline)?;
        if let Some(prefix) = program.announces {
            announced = running.wait_for_announcement(prefix)?;
        }
        started.push(running);
    }
    finish_together(started)
}

/// Waits for all at the same time, for one may wait for what another is to type.
fn finish_together(started: Vec<Running>) -> Result<()> {
    thread::scope(|scope| {
        let waiting: Vec<_> = started
            .into_iter()
            .map(|running| scope.spawn(|| running.finish()))
            .collect();
        // The last one first: it is the one that uses the others.
        waiting
            .into_iter()
            .rev()
            .try_for_each(|finish| match finish.join() {
                Ok(outcome) => outcome,
                Err(_) => bail!("a thread that waits for a program panicked"),
            })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::program::{Program, Typed};
    use super::*;

    fn programs() -> Programs {
        Programs::from([("sh".to_owned(), PathBuf::from("/bin/sh"))])
    }

    const fn shell(
        arguments: &'static [&'static str],
        must_print: &'static [&'static str],
    ) -> Program {
        Program {
            name: "sh",
            arguments,
            announces: None,
            types: &[],
            must_print,
        }
    }

    const fn of(programs: &'static [Program], limit: Duration) -> Run {
        Run {
            name: "test",
            programs,
            limit,
        }
    }

    fn outcome(run: &Run) -> Result<(), String> {
        let deadline = Deadline::after(Duration::from_secs(60));
        run_together(run, &programs(), deadline).map_err(|error| format!("{error:#}"))
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_program_must_print_its_lines_and_succeed() {
        static GOOD: Run = of(&[shell(&["-c", "echo all is well"], &["is well"])], LONG);
        static SILENT: Run = of(&[shell(&["-c", "echo nothing"], &["is well"])], LONG);
        static FAILS: Run = of(
            &[shell(&["-c", "echo is well; exit 1"], &["is well"])],
            LONG,
        );
        assert_eq!(outcome(&GOOD), Ok(()));
        assert!(
            outcome(&SILENT)
                .unwrap_err()
                .contains("did not print `is well`")
        );
        assert!(outcome(&FAILS).unwrap_err().contains("exit status: 1"));
    }

    #[test]
    fn what_one_announces_the_next_is_given() {
        static PAIR: Run = of(
            &[
                Program {
                    name: "sh",
                    arguments: &["-c", "echo starting; echo ready at 42"],
                    announces: Some("ready at "),
                    types: &[],
                    must_print: &["starting"],
                },
                shell(&["-c", "echo got {announced}"], &["got 42"]),
            ],
            LONG,
        );
        static MUTE: Run = of(
            &[Program {
                name: "sh",
                arguments: &["-c", "echo starting"],
                announces: Some("ready at "),
                types: &[],
                must_print: &[],
            }],
            LONG,
        );
        assert_eq!(outcome(&PAIR), Ok(()));
        assert!(outcome(&MUTE).unwrap_err().contains("ended without a line"));
    }

    #[test]
    fn what_is_to_be_typed_is_typed_behind_its_line() {
        const SCRIPT: &str = "echo ready; read a; echo got $a; read b || echo no more";
        static TALKS: Run = of(
            &[Program {
                name: "sh",
                arguments: &["-c", SCRIPT],
                announces: None,
                types: &[
                    Typed {
                        when: "ready",
                        line: Some("one"),
                    },
                    Typed {
                        when: "got one",
                        line: None,
                    },
                ],
                must_print: &["got one", "no more"],
            }],
            LONG,
        );
        assert_eq!(outcome(&TALKS), Ok(()));
    }

    #[test]
    fn a_hanging_program_fails_and_is_named() {
        static HANGS: Run = of(
            &[shell(&["-c", "sleep 600"], &[])],
            Duration::from_millis(200),
        );
        let error = outcome(&HANGS).unwrap_err();
        assert!(error.contains("`sh` hung"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_built_fails() {
        static ABSENT: Run = of(
            &[Program {
                name: "absent",
                arguments: &[],
                announces: None,
                types: &[],
                must_print: &[],
            }],
            LONG,
        );
        assert!(
            outcome(&ABSENT)
                .unwrap_err()
                .contains("builds no such program")
        );
    }

    #[test]
    fn a_program_that_no_run_names_is_found() {
        static NAMES_IT: Run = of(&[shell(&[], &[])], LONG);
        assert_eq!(unnamed(&[], &programs()).len(), 1);
        assert!(unnamed(std::slice::from_ref(&NAMES_IT), &programs()).is_empty());
    }

    #[test]
    fn the_list_for_readers_has_each_program_and_no_other() {
        assert!(wrongly_listed("# `x`\n| `sh` | says |\n", &programs()).is_empty());
        assert_eq!(
            wrongly_listed("| `csh` | says |\n", &programs()),
            ["sh: not in the list", "csh: in the list, but not built"]
        );
    }

    #[test]
    fn built_programs_are_read_from_the_messages_of_cargo() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/w/examples/Cargo.toml","target":{"name":"echo"},"executable":"/t/echo"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/w/lib/Cargo.toml","target":{"name":"lib"},"executable":null}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = executables(messages, Path::new("/w/examples")).unwrap();
        assert_eq!(
            found,
            Programs::from([("echo".to_owned(), PathBuf::from("/t/echo"))])
        );
        assert!(executables("not JSON", Path::new("/w")).is_err());
    }
}
