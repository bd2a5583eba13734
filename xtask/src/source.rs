//! Rust source as the checks want to see it: without text, without tests, as names.
//!
//! Called by `tidy` for its checks on code, and by `coverage`, which counts no tests. It is a
//! scanner and no parser: it knows comments, literals, brackets and paths. Blanked parts become
//! spaces, so lines keep their numbers. It must not panic on any text; whatever it cannot make
//! sense of it leaves as it is.

/// Whether a file, by its path, holds nothing but tests.
pub(crate) fn is_test_path(path: &str) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
}

/// The source with comments and literals blanked.
pub(crate) fn without_text(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    let mut is_behind_word = false;
    while let Some(next) = rest.chars().next() {
        let text = text_length(rest, is_behind_word);
        let (taken, behind) = rest.split_at(text.unwrap_or(next.len_utf8()));
        match text {
            Some(_) => push_blanks(&mut code, taken),
            None => code.push_str(taken),
        }
        is_behind_word = text.is_none() && is_word(next);
        rest = behind;
    }
    code
}

/// The length of the comment or literal that `rest` begins with.
fn text_length(rest: &str, is_behind_word: bool) -> Option<usize> {
    match rest.as_bytes() {
        [b'/', b'/', ..] => Some(rest.find('\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(block_comment_length(rest)),
        [b'"', ..] => Some(quoted_length(rest, '"')),
        [b'\'', ..] => character_length(rest),
        [b'b' | b'c' | b'r', ..] if !is_behind_word => prefixed_length(rest),
        _ => None,
    }
}

/// Block comments nest.
fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut position = 0;
    while let Some(tail) = rest.get(position..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with("/*") {
            depth += 1;
            position += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return position;
            }
        } else {
            position += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// From one quote to the next that no backslash stands before.
fn quoted_length(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (position, character) in rest.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if character == quote => return position + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character literal; a lifetime is none.
fn character_length(rest: &str) -> Option<usize> {
    let mut characters = rest.chars().skip(1);
    let first = characters.next()?;
    let is_literal = first == '\\' || characters.next() == Some('\'');
    is_literal.then(|| quoted_length(rest, '\''))
}

/// A literal with letters in front: `b'x'`, `b"x"`, `c"x"`, `r#"x"#`, `br"x"`, `cr"x"`.
fn prefixed_length(rest: &str) -> Option<usize> {
    let behind = rest.trim_start_matches(['b', 'c', 'r']);
    let letters = rest.len() - behind.len();
    match behind.as_bytes().first()? {
        b'"' | b'#' if rest[..letters].ends_with('r') => Some(letters + raw_length(behind)?),
        b'"' => Some(letters + quoted_length(behind, '"')),
        b'\'' => Some(letters + character_length(behind)?),
        _ => None,
    }
}

/// A raw string behind its letters: as many `#` at the end as at the start.
fn raw_length(behind: &str) -> Option<usize> {
    let hashes = behind.len() - behind.trim_start_matches('#').len();
    let inside = behind[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end).map(|position| position + end.len());
    Some(hashes + 1 + length.unwrap_or(inside.len()))
}

/// The code without the items behind `#[cfg(test)]`.
pub(crate) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut shipped = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(position) = rest.find(MARK) {
        let (before, item) = rest.split_at(position);
        let (item, behind) = item.split_at(MARK.len() + item_length(&item[MARK.len()..]));
        shipped.push_str(before);
        push_blanks(&mut shipped, item);
        rest = behind;
    }
    shipped.push_str(rest);
    shipped
}

/// An item ends at its first `;` outside brackets, or where its first block closes.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (position, character) in code.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(character, ';' | '}') {
            return position + 1;
        }
    }
    code.len()
}

fn push_blanks(code: &mut String, text: &str) {
    code.extend(
        text.chars()
            .map(|character| if character == '\n' { '\n' } else { ' ' }),
    );
}

pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is left, with the blanks taken out.
    fn left(source: &str) -> String {
        without_text(source)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn comments_go_and_code_stays() {
        assert_eq!(left("a // b\nc"), "a c");
        assert_eq!(left("a /* b /* c */ d */ e"), "a e");
        assert_eq!(left("//! doc\n/// doc\nfn x() {} // end"), "fn x() {}");
        assert_eq!(left("a / b"), "a / b");
    }

    #[test]
    fn literals_go_and_code_stays() {
        assert_eq!(left(r#"f("b \" // c", d)"#), "f( , d)");
        assert_eq!(left(r##"f(r#"b " // c"#, d)"##), "f( , d)");
        assert_eq!(left(r#"f(b"b", c"c", br"\", cr"\", d)"#), "f( , , , , d)");
        assert_eq!(left(r"f('b', '\'', b'\\', '\u{7f}', d)"), "f( , , , , d)");
        assert_eq!(left("f('\"', d) // '\""), "f( , d)");
    }

    #[test]
    fn lifetimes_and_words_that_look_like_prefixes_stay() {
        assert_eq!(
            left("fn f<'a, 'b>(x: &'a str) -> &'static r#type"),
            "fn f<'a, 'b>(x: &'a str) -> &'static r#type"
        );
        assert_eq!(left("crate::b::c"), "crate::b::c");
        assert_eq!(left("barb(\"x\")"), "barb( )");
    }

    #[test]
    fn only_the_item_behind_the_mark_goes() {
        let code = "a();\n#[cfg(test)]\nmod tests { fn b() { c(); } }\nd();\n#[cfg(test)]\nuse e::{f, g};\nh();";
        let shipped: Vec<_> = without_tests(code)
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        assert_eq!(shipped, ["a();", "d();", ";", "h();"]);
        assert!(without_tests("#[cfg(test)]\n#[path = []]\nmod tests;\nx").ends_with("\nx"));
    }

    proptest! {
        #[test]
        fn any_text_keeps_its_lines(source in r#"[a-c'"/*\\#{}();\n!r:é]{0,80}"#) {
            let code = without_text(&source);
            prop_assert_eq!(code.matches('\n').count(), source.matches('\n').count());
            prop_assert_eq!(code.chars().count(), source.chars().count());
            let shipped = without_tests(&format!("{code}#[cfg(test)]{code}"));
            prop_assert_eq!(shipped.matches('\n').count(), 2 * code.matches('\n').count());
        }
    }
}
