//! The paths that a piece of code names, written out.
//!
//! Called by the checks on code, with code that `source` has freed of text. A grouped `use` is
//! taken apart, so `use std::{io, net::TcpStream}` names `std::io` and `std::net::TcpStream`. It
//! resolves nothing: a renamed import is seen where it is imported.

use crate::source::is_word;

/// A path as written; that of a macro call ends with `!`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// The line of its last word, from 1.
    pub(crate) line: usize,
    pub(crate) path: String,
}

impl Name {
    /// Whether this is what a pattern means: `std::net` is that path and all below it, `Mutex` a
    /// part of any path, `Atomic*` a part of any path that begins so.
    pub(crate) fn matches(&self, pattern: &str) -> bool {
        if pattern.contains("::") {
            let rest = self.path.strip_prefix(pattern);
            return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        }
        let mut parts = self.path.split("::");
        match pattern.strip_suffix('*') {
            Some(start) => parts.any(|part| part.starts_with(start)),
            None => parts.any(|part| part == pattern),
        }
    }
}

/// All names in the code, in the order of their ends.
pub(crate) fn names(code: &str) -> Vec<Name> {
    let mut reader = Reader::default();
    for (line, text) in code.lines().enumerate() {
        reader.line = line + 1;
        tokens(text).for_each(|token| reader.take(token));
    }
    reader.finish();
    reader.names
}

/// Words, `::`, and every other character by itself; the `!` of a macro call belongs to its word.
fn tokens(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let length = match first {
            _ if is_word(first) => word_length(rest),
            _ if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        rest = behind;
        Some(token)
    })
}

fn word_length(rest: &str) -> usize {
    let length = rest.find(|next| !is_word(next)).unwrap_or(rest.len());
    let behind = &rest[length..];
    let is_macro = behind.starts_with('!') && !behind.starts_with("!=");
    length + usize::from(is_macro)
}

#[derive(Default)]
struct Reader {
    line: usize,
    /// The path read so far.
    path: String,
    /// The line of its last word.
    path_line: usize,
    /// Whether the last token was `::`.
    is_joined: bool,
    /// One entry for each open brace: the path in front of a group, nothing for a block.
    prefixes: Vec<String>,
    names: Vec<Name>,
}

impl Reader {
    fn take(&mut self, token: &str) {
        match token {
            "::" => self.is_joined = true,
            "{" if self.is_joined => {
                let prefix = std::mem::take(&mut self.path);
                self.prefixes.push(prefix);
                self.is_joined = false;
            }
            "{" => {
                self.finish();
                self.prefixes.push(String::new());
            }
            "}" => {
                self.finish();
                self.prefixes.pop();
            }
            _ if token.starts_with(is_word) => self.take_word(token),
            _ => self.finish(),
        }
    }

    fn take_word(&mut self, word: &str) {
        if !self.is_joined {
            self.finish();
        }
        if self.path.is_empty() {
            self.path
                .clone_from(self.prefixes.last().unwrap_or(&String::new()));
        }
        if !self.path.is_empty() {
            self.path.push_str("::");
        }
        self.path.push_str(word);
        self.path_line = self.line;
        self.is_joined = false;
    }

    fn finish(&mut self) {
        self.is_joined = false;
        if !self.path.is_empty() {
            let path = std::mem::take(&mut self.path);
            self.names.push(Name {
                line: self.path_line,
                path,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(code: &str) -> Vec<String> {
        names(code).into_iter().map(|name| name.path).collect()
    }

    #[test]
    fn paths_are_written_out() {
        assert_eq!(
            paths("use std::net::TcpStream;"),
            ["use", "std::net::TcpStream"]
        );
        assert_eq!(paths("a.b(::c::d)"), ["a", "b", "c::d"]);
        assert_eq!(paths("Vec::<u8>::new()"), ["Vec", "u8", "new"]);
    }

    #[test]
    fn groups_are_taken_apart() {
        let code = "use std::{io, net::{self, TcpStream as S}};\nfn f() { x::y() }";
        assert_eq!(
            paths(code)[1..4],
            ["std::io", "std::net::self", "std::net::TcpStream"].map(str::to_owned)
        );
        assert!(
            paths(code).contains(&"x::y".to_owned()),
            "a block has no prefix"
        );
    }

    #[test]
    fn macros_are_told_from_functions() {
        assert_eq!(paths("a::b!(c) != d"), ["a::b!", "c", "d"]);
        assert_eq!(paths("if !e {}"), ["if", "e"]);
        assert_eq!(paths("a!=b"), ["a", "b"]);
    }

    #[test]
    fn lines_are_counted() {
        let lines: Vec<usize> = names("a\n\nb::\nc").iter().map(|name| name.line).collect();
        assert_eq!(lines, [1, 4]);
    }

    #[test]
    fn patterns_mean_whole_parts() {
        let name = |path: &str| Name {
            line: 1,
            path: path.to_owned(),
        };
        assert!(name("std::net::TcpStream").matches("std::net"));
        assert!(!name("std::network").matches("std::net"));
        assert!(!name("crate::std::net").matches("std::net"));
        assert!(name("std::sync::Mutex").matches("Mutex"));
        assert!(!name("MutexLike").matches("Mutex"));
        assert!(name("sync::AtomicU64").matches("Atomic*"));
        assert!(!name("NonAtomic").matches("Atomic*"));
    }
}
