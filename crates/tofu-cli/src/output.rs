//! Standard output and standard error.
//!
//! Results go to standard output, everything else to standard error, so that pipes carry results
//! alone. A reader that has left is a failure with a status of its own, never a panic.

use std::env;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use crate::failure::{ExitStatus, Failure, Outcome};

/// When to colour: `Auto` is on a terminal, unless NO_COLOR is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    // Comments for people who read `--help` would take ten lines of it, in every command.
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// Whether to colour what goes to a stream.
    pub(crate) fn is_on(self, stream: &impl IsTerminal) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let is_dumb = env::var_os("TERM").is_some_and(|value| value == "dumb");
                stream.is_terminal() && !refused && !is_dumb
            }
        }
    }
}

/// Buffered standard output.
#[derive(Debug)]
pub(crate) struct Output {
    out: BufWriter<Stdout>,
    is_colored: bool,
    is_terminal: bool,
    /// The last byte written ends a line, or there was none.
    is_at_line_start: bool,
}

impl Output {
    pub(crate) fn new(color: Color) -> Output {
        let stdout = io::stdout();
        Output {
            is_colored: color.is_on(&stdout),
            is_terminal: stdout.is_terminal(),
            is_at_line_start: true,
            out: BufWriter::new(stdout),
        }
    }

    /// Whether to use colours.
    pub(crate) fn is_colored(&self) -> bool {
        self.is_colored
    }

    /// Writes bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Outcome {
        if let Some(last) = bytes.last() {
            self.is_at_line_start = *last == b'\n';
        }
        self.out.write_all(bytes).map_err(|error| lost(&error))
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) -> Outcome {
        self.is_at_line_start = true;
        writeln!(self.out, "{line}").map_err(|error| lost(&error))
    }

    /// Hands everything over. Called before every wait, so that nobody waits for what is here.
    pub(crate) fn flush(&mut self) -> Outcome {
        self.out.flush().map_err(|error| lost(&error))
    }

    /// On a terminal, ends the line that raw bytes left open: the prompt comes behind it.
    pub(crate) fn finish(&mut self) -> Outcome {
        if self.is_terminal && !self.is_at_line_start {
            self.write(b"\n")?;
        }
        self.flush()
    }
}

fn lost(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(
            ExitStatus::OutputClosed,
            "standard output was closed by its reader",
        ),
        _ => Failure::new(
            ExitStatus::Failure,
            format!("cannot write to standard output: {error}"),
        ),
    }
}

/// Says something beside the results: one line on standard error. Nothing can be done if that
/// fails.
pub(crate) fn say(text: fmt::Arguments<'_>) {
    let line = format!("{}\n", one_line(&text.to_string()));
    let _nobody_listens = io::stderr().write_all(line.as_bytes());
}

/// Whether a character does something to a terminal or to the order of what it shows, rather than
/// being shown.
pub(crate) fn commands_a_terminal(character: char) -> bool {
    let reorders = matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || reorders
}

/// The text without anything that could break the line or command a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if commands_a_terminal(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(one_line("a\nb\u{1b}[31mc ü"), "a\\nb\\u{1b}[31mc ü");
        assert_eq!(one_line("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
    }
}
