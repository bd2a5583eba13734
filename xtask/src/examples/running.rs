//! One program of a run: started, read line by line, typed to, and judged at its end.
//!
//! Used by the runs alone; what to start and what it must print stands in `table`.

use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;

use anyhow::{Context, Result, bail, ensure};

use super::Programs;
use super::program::{Program, Typed};
use crate::deadline::Deadline;
use crate::process::{self, Process};

/// A program that was started, and what it has printed so far.
pub(super) struct Running {
    program: &'static Program,
    process: Process,
    /// Open until all is typed that ends with the end of input, or the program has ended.
    input: Option<ChildStdin>,
    /// What is still to be typed.
    types: &'static [Typed],
    lines: Receiver<String>,
    printed: Vec<String>,
    deadline: Deadline,
}

impl Running {
    pub(super) fn start(
        program: &'static Program,
        programs: &Programs,
        announced: &str,
        deadline: Deadline,
    ) -> Result<Running> {
        let name = program.name;
        let path = programs.get(name).with_context(|| {
            format!("`{name}` is in the table of runs, but examples/ builds no such program")
        })?;
        let arguments = program
            .arguments
            .iter()
            .map(|text| text.replace("{announced}", announced));
        let mut command = Command::new(path);
        command.args(arguments).stdout(Stdio::piped());
        let mut process = match program.types {
            [] => Process::start(&mut command, deadline)?,
            _ => Process::start_to_type(&mut command, deadline)?,
        };
        let lines = process.lines()?;
        Ok(Running {
            program,
            input: process.input(),
            process,
            types: program.types,
            lines,
            printed: Vec::new(),
            deadline,
        })
    }

    /// Reads the next line, shows it and keeps it.
    fn next_line(&mut self) -> Result<Option<String>> {
        let name = self.program.name;
        let line = process::next_line(&self.lines, self.deadline);
        let line = line.with_context(|| format!("`{name}` hung"))?;
        if let Some(line) = &line {
            println!("{name}: {line}");
            self.printed.push(line.clone());
            self.type_behind(line)?;
        }
        Ok(line)
    }

    /// Types what is to be typed when that line has come.
    fn type_behind(&mut self, printed: &str) -> Result<()> {
        let [next, rest @ ..] = self.types else {
            return Ok(());
        };
        if printed.contains(next.when) {
            self.types = rest;
            match (next.line, &mut self.input) {
                (Some(line), Some(input)) => {
                    println!("{} is told: {line}", self.program.name);
                    writeln!(input, "{line}").context("it does not read its input")?;
                }
                _ => self.input = None,
            }
        }
        Ok(())
    }

    pub(super) fn wait_for_announcement(&mut self, prefix: &str) -> Result<String> {
        while let Some(line) = self.next_line()? {
            if let Some((_, announced)) = line.split_once(prefix) {
                return Ok(announced.trim().to_owned());
            }
        }
        bail!(
            "`{}` ended without a line with `{prefix}`",
            self.program.name
        )
    }

    /// Reads to the end, waits for success and looks whether all was printed.
    pub(super) fn finish(mut self) -> Result<()> {
        while self.next_line()?.is_some() {}
        self.process.wait()?;
        for expected in self.program.must_print {
            let is_printed = self.printed.iter().any(|line| line.contains(expected));
            ensure!(
                is_printed,
                "`{}` did not print `{expected}`",
                self.program.name
            );
        }
        Ok(())
    }
}
