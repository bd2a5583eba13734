//! The command line tool `tofu`: listen, send, ping, measure and decode.
//!
//! A face of the library for shells: each command is a module of `commands` that ends with an
//! [`Outcome`](failure::Outcome), and only here is a failure turned into its line on standard error
//! and its exit status. Nothing below may print to standard error in any other way than by
//! `output::say`. Only a second Ctrl-C ends the process elsewhere.

mod arguments;
mod commands;
mod failure;
mod interrupt;
mod output;
mod render;
mod session;
mod values;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::arguments::{Arguments, Command};
use crate::commands::{decode, documents, listen, perf, ping, send};
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::{Color, Output, one_line};

fn main() -> ExitCode {
    let (color, outcome) = match Arguments::try_parse() {
        Ok(arguments) => (arguments.color, run(arguments)),
        Err(error) => (Color::Auto, refuse(&error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure, color);
            ExitCode::from(failure.status as u8)
        }
    }
}

fn run(arguments: Arguments) -> Outcome {
    let mut output = Output::new(arguments.color);
    let outcome = match arguments.command {
        Command::Listen(arguments) => listen::run(&arguments, &mut output),
        Command::Send(arguments) => send::run(&arguments, &mut output),
        Command::Ping(arguments) => ping::run(&arguments, &mut output),
        Command::Perf(arguments) => perf::run(&arguments, &mut output),
        Command::Decode(arguments) => decode::run(&arguments, &mut output),
        Command::Completions(arguments) => documents::completions(&arguments, &mut output),
        Command::Man(arguments) => documents::man(&arguments, &mut output),
    };
    // What was found before a failure is still worth having.
    outcome.and(output.finish())
}

/// The one line that a failure is.
fn tell(failure: &Failure, color: Color) {
    let (red, plain) = match color.is_on(&io::stderr()) {
        true => ("\u{1b}[31m", "\u{1b}[0m"),
        false => ("", ""),
    };
    let line = format!("{red}tofu:{plain} {}\n", one_line(&failure.text));
    // If standard error is gone too, the status still tells.
    let _nobody_listens = io::Write::write_all(&mut io::stderr(), line.as_bytes());
}

/// A command line that asks for help or a version, or is wrong.
fn refuse(error: &clap::Error) -> Outcome {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let mut output = Output::new(Color::Auto);
            let text = error.render();
            match io::stdout().is_terminal() && output.is_colored() {
                true => output.write(text.ansi().to_string().as_bytes())?,
                false => output.write(text.to_string().as_bytes())?,
            }
            output.finish()
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Failure::new(
            ExitStatus::Usage,
            "a command is missing; see tofu --help",
        )),
        _ => Err(Failure::new(ExitStatus::Usage, on_one_line(error))),
    }
}

/// What clap says on several lines, without its title, the usage and the way to the help.
fn on_one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim);
    let wanted = lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty());
    let line = wanted.collect::<Vec<_>>().join(" ").replace(" tip: ", "; ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    format!("{line}; see --help")
}
