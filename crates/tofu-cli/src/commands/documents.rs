//! `tofu completions` and `tofu man`: what a package installs beside the program.
//!
//! Both are made of the command line's own description, so they are never out of date.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man as Page;

use crate::arguments::Arguments;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;

/// The program's name.
const NAME: &str = "tofu";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  tofu completions bash > tofu.bash
  tofu completions zsh > _tofu
  tofu completions fish > tofu.fish";

const MAN_EXAMPLES: &str = "\
Examples:
  tofu man > tofu.1
  tofu man send > tofu-send.1";

/// Print a script that completes the command line in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Print a manual page
#[derive(Debug, clap::Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(crate) struct Man {
    /// The command that the page is about; tofu itself if there is none
    command: Option<String>,
}

pub(crate) fn completions(arguments: &Completions, output: &mut Output) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        NAME,
        &mut script,
    );
    output.write(&script)
}

pub(crate) fn man(arguments: &Man, output: &mut Output) -> Outcome {
    let mut root = Arguments::command();
    // Gives each command its full name, such as `tofu-send`.
    root.build();
    let command = match &arguments.command {
        None => root,
        Some(name) => match root.find_subcommand(name) {
            None => {
                return Err(Failure::new(
                    ExitStatus::Usage,
                    format!("no command {name:?}"),
                ));
            }
            Some(command) => command.clone(),
        },
    };
    let mut page = Vec::new();
    Page::new(command).render(&mut page).map_err(|error| {
        let text = format!("cannot make the page: {error}");
        Failure::new(ExitStatus::Failure, text)
    })?;
    output.write(&page)
}
