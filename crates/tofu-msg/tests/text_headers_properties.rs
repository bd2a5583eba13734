//! Text headers against naive models: any block, any line, any sequence of changes.

#![cfg(test)]

use proptest::prelude::*;
use tofu_msg::{MAX_TEXT_HEADERS_LEN, TextHeaders};

/// What a program may do to a block.
#[derive(Clone, Debug)]
enum Step {
    Append(String, String),
    InsertFirst(String, String),
    RemoveAll(String),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let names = || proptest::sample::select(vec!["a", "b", "A", "long name", "~x"]);
    let pairs = || (names(), "[a-z:;= \t\r\n]{0,6}").prop_map(|(n, v)| (n.to_owned(), v));
    proptest::collection::vec(
        prop_oneof![
            5 => pairs().prop_map(|(name, value)| Step::Append(name, value)),
            3 => pairs().prop_map(|(name, value)| Step::InsertFirst(name, value)),
            2 => names().prop_map(|name| Step::RemoveAll(name.to_owned())),
            1 => Just(Step::Clear),
        ],
        0..20,
    )
}

fn may_stand(value: &str) -> bool {
    !value.contains(['\r', '\n']) && value.trim_matches([' ', '\t']) == value
}

proptest! {
    #[test]
    fn any_block_reads_by_the_rules(
        block in proptest::collection::vec(proptest::sample::select(&b"ab:\r\n \t\xff"[..]), 0..40),
    ) {
        tofu_msg::fuzzing::text_headers(&block);
    }

    #[test]
    fn lines_are_added_by_the_rules(
        name in "[ab: \t\r\n]{0,4}",
        value in "[ab: \t\r\n]{0,4}",
        behind in "[ab: \t\r\n]{0,12}",
    ) {
        let mut input = Vec::new();
        for part in [name, value] {
            input.push(u8::try_from(part.len()).unwrap());
            input.extend_from_slice(part.as_bytes());
        }
        input.extend_from_slice(behind.as_bytes());
        tofu_msg::fuzzing::text_headers(&input);
    }

    #[test]
    fn a_block_behaves_as_a_list_of_lines(steps in steps()) {
        let mut headers = TextHeaders::new();
        let mut model: Vec<(String, String)> = Vec::new();
        for step in steps {
            match step {
                Step::Append(name, value) => {
                    let appended = headers.append(&name, &value);
                    prop_assert_eq!(appended.is_ok(), may_stand(&value));
                    if appended.is_ok() {
                        model.push((name, value));
                    }
                }
                Step::InsertFirst(name, value) => {
                    let inserted = headers.insert_first(&name, &value);
                    prop_assert_eq!(inserted.is_ok(), may_stand(&value));
                    if inserted.is_ok() {
                        model.insert(0, (name, value));
                    }
                }
                Step::RemoveAll(name) => {
                    let before = model.len();
                    model.retain(|line| line.0 != name);
                    prop_assert_eq!(headers.remove_all(&name), before - model.len());
                }
                Step::Clear => {
                    headers.clear();
                    model.clear();
                }
            }
            let lines: Vec<_> = headers
                .iter()
                .map(|line| (line.name_str().unwrap().to_owned(), line.value_str().unwrap().to_owned()))
                .collect();
            prop_assert_eq!(&lines, &model);
            let len: usize = model.iter().map(|line| line.0.len() + line.1.len() + 3).sum();
            prop_assert_eq!(headers.len(), len);
        }
    }
}

#[test]
fn blocks_about_the_limit_keep_the_rules() {
    for len in MAX_TEXT_HEADERS_LEN - 12..=MAX_TEXT_HEADERS_LEN + 1 {
        // The line "n: v" is appended to a block of one long line that begins with the same bytes.
        let mut block = b"\x01n\x01v: ".to_vec();
        block.resize(len, b'x');
        tofu_msg::fuzzing::text_headers(&block);
    }
}
