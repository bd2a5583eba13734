//! What a run of the examples is made of. Data only, filled in by `table`.

use std::time::Duration;

/// One run: a single program, or several that work together.
#[derive(Debug)]
pub(super) struct Run {
    /// How the report calls it.
    pub(super) name: &'static str,
    /// Started in this order. A program behind one that announces something starts only when the
    /// announcement has come. Each must end by itself, with success.
    pub(super) programs: &'static [Program],
    /// From the first start to the last end; what takes longer is killed and has failed.
    pub(super) limit: Duration,
}

/// One program of a run.
#[derive(Debug)]
pub(super) struct Program {
    /// The binary or example target in a package below `examples/`.
    pub(super) name: &'static str,
    /// `{announced}` in an argument is replaced by what an earlier program has announced.
    pub(super) arguments: &'static [&'static str],
    /// The text in front of what this program announces on a line of its output, for example
    /// `listening on ` where it prints `listening on tcp|127.0.0.1|40123`. What follows, up to the
    /// end of the line, goes to the later programs.
    pub(super) announces: Option<&'static str>,
    /// What is typed into it, in this order. Without any it has no input.
    pub(super) types: &'static [Typed],
    /// Each of these must be a part of some line of its output.
    pub(super) must_print: &'static [&'static str],
}

/// Something to type when the program has printed a line that contains a text.
#[derive(Debug)]
pub(super) struct Typed {
    pub(super) when: &'static str,
    /// The line; `None` ends the input.
    pub(super) line: Option<&'static str>,
}

pub(super) const fn typed(when: &'static str, line: &'static str) -> Typed {
    let line = Some(line);
    Typed { when, line }
}

pub(super) const fn end_of_input(when: &'static str) -> Typed {
    Typed { when, line: None }
}

/// A program that takes no arguments and needs no other.
pub(super) const fn alone(name: &'static str, must_print: &'static [&'static str]) -> Program {
    Program {
        name,
        arguments: &[],
        announces: None,
        types: &[],
        must_print,
    }
}

/// A program that is given arguments, and that nobody waits for or types into.
pub(super) const fn told(
    name: &'static str,
    arguments: &'static [&'static str],
    must_print: &'static [&'static str],
) -> Program {
    Program {
        arguments,
        ..alone(name, must_print)
    }
}

/// A run of the usual length.
pub(super) const fn run(name: &'static str, programs: &'static [Program]) -> Run {
    Run {
        name,
        programs,
        limit: Duration::from_secs(20),
    }
}
