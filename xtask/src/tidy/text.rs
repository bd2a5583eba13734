//! Checks of every text file: white space, and words that belong to one machine.
//!
//! Called by `tidy`.

use super::{File, Finding};

/// Folders of one machine. In two parts each, or this file would be the first to be found.
const FORBIDDEN: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/tmp/", "plan"),
    concat!("/ro", "ot/"),
];

pub(super) fn white_space(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if line.ends_with(char::is_whitespace) {
            findings.push(Finding::new(
                file,
                index + 1,
                "blanks at the end of the line",
            ));
        }
        if file.is_rust() && line.contains('\t') {
            findings.push(Finding::new(file, index + 1, "a tab"));
        }
    }
    findings.extend(end(file));
    findings
}

/// A file ends with one newline, neither with none nor with empty lines.
fn end(file: &File) -> Option<Finding> {
    let text = &file.text;
    let is_good = text.is_empty() || (text.ends_with('\n') && !text.ends_with("\n\n"));
    let line = text.lines().count();
    (!is_good).then(|| Finding::new(file, line, "the file does not end with one newline"))
}

pub(super) fn forbidden_words(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for word in FORBIDDEN.iter().filter(|word| line.contains(**word)) {
            findings.push(Finding::new(
                file,
                index + 1,
                format!("`{word}` is of one machine"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(findings: &[Finding]) -> Vec<usize> {
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn stray_white_space_is_found() {
        assert!(white_space(&File::new("a.md", "one\n\n\ttwo\n")).is_empty());
        assert_eq!(
            lines(&white_space(&File::new("a.md", "one \ntwo\r\n"))),
            [1]
        );
        assert_eq!(lines(&white_space(&File::new("a.rs", "one\n\ttwo\n"))), [2]);
    }

    #[test]
    fn a_file_must_end_with_one_newline() {
        assert_eq!(lines(&white_space(&File::new("a.md", "one\ntwo"))), [2]);
        assert_eq!(lines(&white_space(&File::new("a.md", "one\n\n"))), [2]);
        assert!(white_space(&File::new("a.md", "")).is_empty());
    }

    #[test]
    fn folders_of_one_machine_are_found() {
        for word in FORBIDDEN {
            let file = File::new("a.toml", &format!("# fine\n# see {word}x\n"));
            assert_eq!(lines(&forbidden_words(&file)), [2]);
        }
        assert!(forbidden_words(&File::new("a.md", "the network/framework\n")).is_empty());
    }
}
