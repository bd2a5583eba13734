//! Checks of single Rust files: length, header, words that must not be in code.
//!
//! Called by `tidy`. The compiler and clippy check the rest; what stands here they cannot, or only
//! file by file where a lint may be switched off.

use super::{File, Finding};
use crate::names::names;

/// The longest file, in lines.
const MAX_LINES: usize = 400;

/// The longest file that holds only tests.
const MAX_TEST_LINES: usize = 700;

/// The longest module header: a diagram and the rules around it.
const MAX_HEADER_LINES: usize = 40;

/// The longest header of a `lib.rs`, which is the crate's documentation with its example.
const MAX_CRATE_HEADER_LINES: usize = 60;

/// The longest header in the umbrella crate, whose modules are the guide.
const MAX_GUIDE_LINES: usize = 150;

/// Where the guide is.
const GUIDE: &str = "crates/tofu/src/";

/// What no code may name, in tests neither.
const FORBIDDEN: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "unsafe"];

pub(super) fn length(file: &File) -> Vec<Finding> {
    let limit = if file.is_test() {
        MAX_TEST_LINES
    } else {
        MAX_LINES
    };
    let lines = file.text.lines().count();
    if !file.is_rust() || lines <= limit {
        return Vec::new();
    }
    vec![Finding::new(
        file,
        lines,
        format!("{lines} lines; at most {limit}"),
    )]
}

pub(super) fn header(file: &File) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let limit = match &file.path {
        path if path.starts_with(GUIDE) => MAX_GUIDE_LINES,
        path if path.ends_with("/lib.rs") => MAX_CRATE_HEADER_LINES,
        _ => MAX_HEADER_LINES,
    };
    let lines = file
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .count();
    match lines {
        0 => vec![Finding::new(
            file,
            1,
            "no module header (//!) in the first line",
        )],
        _ if lines > limit => {
            vec![Finding::new(
                file,
                lines,
                format!("a header of {lines} lines; at most {limit}"),
            )]
        }
        _ => Vec::new(),
    }
}

pub(super) fn forbidden_code(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in names(&file.code) {
        if FORBIDDEN.iter().any(|word| name.matches(word)) {
            findings.push(Finding::new(
                file,
                name.line,
                format!("`{}` in code", name.path),
            ));
        }
    }
    findings
}

/// Neither a test nor an example in a comment may be switched off.
pub(super) fn ignored_tests(file: &File) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let tests = lines_with(&file.code, |line| line.contains("#[ignore"));
    let examples = lines_with(&file.text, |line| {
        let comment = line.trim_start();
        comment.starts_with("//") && comment.contains("```ignore")
    });
    let findings = tests.into_iter().chain(examples);
    findings
        .map(|line| Finding::new(file, line, "a test that is not run"))
        .collect()
}

fn lines_with(text: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<usize> {
    let lines = text.lines().enumerate().filter(|(_, line)| is_wanted(line));
    lines.map(|(index, _)| index + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(findings: &[Finding]) -> Vec<usize> {
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_long_file_is_found() {
        let text = |lines: usize| "// x\n".repeat(lines);
        assert!(length(&File::new("src/a.rs", &text(400))).is_empty());
        assert_eq!(lines(&length(&File::new("src/a.rs", &text(401)))), [401]);
        assert!(length(&File::new("a/tests/a.rs", &text(700))).is_empty());
        assert_eq!(
            lines(&length(&File::new("a/tests/a.rs", &text(701)))),
            [701]
        );
        assert!(length(&File::new("README.md", &text(5000))).is_empty());
    }

    #[test]
    fn a_missing_or_endless_header_is_found() {
        assert!(header(&File::new("src/a.rs", "//! Purpose.\n")).is_empty());
        assert_eq!(
            lines(&header(&File::new("src/a.rs", "\n//! Purpose.\n"))),
            [1]
        );
        assert_eq!(lines(&header(&File::new("src/a.rs", ""))), [1]);
        assert!(header(&File::new("notes.md", "")).is_empty());
        let long = "//! x\n".repeat(61);
        let module = File::new("crates/a/src/b.rs", &long[..41 * "//! x\n".len()]);
        assert_eq!(lines(&header(&module)), [41]);
        assert_eq!(
            lines(&header(&File::new("crates/a/src/lib.rs", &long))),
            [61]
        );
        assert!(header(&File::new("crates/tofu/src/lib.rs", &long)).is_empty());
    }

    #[test]
    fn forbidden_code_is_found_in_tests_too() {
        let text = "fn a() { todo!() }\n#[cfg(test)]\nmod tests { fn b() { dbg!(1); } }\n\
                    fn c() { unimplemented!(\"later\") }\nunsafe fn d() {}\n";
        assert_eq!(
            lines(&forbidden_code(&File::new("src/a.rs", text))),
            [1, 3, 4, 5]
        );
        assert_eq!(
            lines(&forbidden_code(&File::new("a/tests/a.rs", text))),
            [1, 3, 4, 5]
        );
    }

    #[test]
    fn words_in_comments_literals_and_lints_are_no_code() {
        let text = "// todo!() and unsafe\n#![forbid(unsafe_code)]\nconst A: &str = \"dbg!\";\n";
        assert!(forbidden_code(&File::new("src/a.rs", text)).is_empty());
        assert!(forbidden_code(&File::new("a.md", "unsafe")).is_empty());
    }

    #[test]
    fn a_test_that_is_not_run_is_found() {
        let text = "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n/// ```ignore\n/// x\n/// ```\n";
        assert_eq!(lines(&ignored_tests(&File::new("src/a.rs", text))), [2, 4]);
        assert!(ignored_tests(&File::new("src/a.rs", "// #[ignore]\n/// ```no_run\n")).is_empty());
    }
}
