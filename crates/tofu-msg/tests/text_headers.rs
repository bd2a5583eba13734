//! Text headers: the rules by example.

#![cfg(test)]

use tofu_msg::{MAX_TEXT_HEADERS_LEN, Status, TextHeaderError, TextHeaders, TextHeadersRef};

fn read(block: &[u8]) -> Vec<(&[u8], &[u8])> {
    TextHeadersRef::new(block)
        .iter()
        .map(|line| (line.name, line.value))
        .collect()
}

#[test]
fn reading_follows_the_rules() {
    type Lines<'a> = &'a [(&'a [u8], &'a [u8])];
    let cases: [(&[u8], Lines<'_>); 17] = [
        (b"", &[]),
        (b"a:b", &[(b"a", b"b")]),
        (b"a:b\r\n", &[(b"a", b"b")]),
        (
            b"a:1\r\na:2\r\nA:3\r\n",
            &[(b"a", b"1"), (b"a", b"2"), (b"A", b"3")],
        ),
        (b"\r\n\r\na:b\r\n\r\n", &[(b"a", b"b")]),
        (b"a:1\nb:2", &[(b"a", b"1\nb:2")]),
        (b"a:1\rb:2", &[(b"a", b"1\rb:2")]),
        (b"a:1\r\r\nb:2", &[(b"a", b"1\r"), (b"b", b"2")]),
        (b"a:\r\nb: \t \r\n", &[(b"a", b""), (b"b", b"")]),
        (b"u:http://a:1/\r\n", &[(b"u", b"http://a:1/")]),
        (b" n : v \r\n", &[(b" n ", b"v")]),
        (b"alone\r\nb:1", &[(b"alone", b""), (b"b", b"1")]),
        (b"k:v\r\n: x\r\nz:1\r\n", &[(b"k", b"v")]),
        (b"::\r\nz:1\r\n", &[]),
        (b"a:\t x y \t", &[(b"a", b"x y")]),
        (b"\0\x01:\xff\xfe", &[(b"\0\x01", b"\xff\xfe")]),
        (b"a: \x0b ", &[(b"a", b"\x0b")]),
    ];
    for (block, lines) in cases {
        assert_eq!(read(block), lines, "{}", block.escape_ascii());
        tofu_msg::fuzzing::text_headers(block);
    }
}

#[test]
fn an_iterator_that_ended_stays_ended() {
    let mut lines = TextHeadersRef::new(b":\r\na:1").iter();
    assert!(lines.next().is_none());
    assert!(lines.next().is_none());
}

#[test]
fn a_block_and_its_view_are_the_same_lines_and_bytes() {
    let mut headers = TextHeaders::new();
    assert!(headers.view().is_empty());
    headers.append("a", "1").unwrap();
    headers.append("b", "2").unwrap();
    let mut names = Vec::new();
    for line in &headers {
        names.push(line.name);
    }
    assert_eq!(names, [b"a", b"b"]);
    let view = headers.view();
    assert!(view.into_iter().eq(&headers));
    assert_eq!((view.len(), view.is_empty()), (headers.len(), false));
    assert_eq!(AsRef::<[u8]>::as_ref(&headers), view.as_bytes());
}

#[test]
fn looking_up_is_exact_and_in_order() {
    let mut headers = TextHeaders::new();
    for (name, value) in [("D", "1"), ("d", "2"), ("D", "3")] {
        headers.append(name, value).unwrap();
    }
    assert_eq!(headers.get("D"), Some(&b"1"[..]));
    assert_eq!(headers.get_all("D").collect::<Vec<_>>(), [b"1", b"3"]);
    assert_eq!(headers.get("x"), None);
    assert_eq!(headers.get(""), None);
    assert_eq!(headers.get_str("d"), Some(Ok("2")));
    headers.append("bytes", b"\xff").unwrap();
    assert!(headers.get_str("bytes").unwrap().is_err());
    let last = headers.iter().last().unwrap();
    assert_eq!(last.name_str(), Ok("bytes"));
    assert!(last.value_str().is_err());
    assert_eq!(
        format!("{headers:?}"),
        r#"["D:1", "d:2", "D:3", "bytes:\xff"]"#
    );
}

/// Appends to an empty block, in both ways, and gives what is read back.
fn append(name: &[u8], value: &[u8]) -> Result<(Vec<u8>, Vec<u8>), TextHeaderError> {
    let mut headers = TextHeaders::new();
    let appended = headers.append(name, value);
    let mut in_front = TextHeaders::new();
    assert_eq!(in_front.insert_first(name, value), appended);
    assert_eq!(in_front, headers);
    assert_eq!(headers.is_empty(), appended.is_err());
    appended?;
    let lines = read(headers.as_bytes());
    assert_eq!(lines.len(), 1);
    Ok((lines[0].0.to_vec(), lines[0].1.to_vec()))
}

#[test]
fn what_was_appended_is_what_is_read() {
    let cases: [(&[u8], &[u8]); 6] = [
        (b"in ner", b"in ner"),
        (b"n", b""),
        (b"n\0", b"\0"),
        (b"n", b"a:b"),
        (b"\xff", b"\xfe"),
        (b"\x0b", b"\x0b"),
    ];
    for (name, value) in cases {
        assert_eq!(append(name, value), Ok((name.to_vec(), value.to_vec())));
    }
    assert_eq!(
        append(b" \t\r\nName\n\r\t ", b"v"),
        Ok((b"Name".to_vec(), b"v".to_vec()))
    );
}

#[test]
fn names_that_would_not_be_read_back_are_refused() {
    let invalid = |byte, position| Err(TextHeaderError::InvalidName { byte, position });
    assert_eq!(append(b"", b"v"), Err(TextHeaderError::EmptyName));
    assert_eq!(append(b" \t\r\n", b"v"), Err(TextHeaderError::EmptyName));
    assert_eq!(append(b"na:me", b"v"), invalid(b':', 2));
    assert_eq!(append(b" :", b"v"), invalid(b':', 0));
    assert_eq!(append(b"a\rb", b"v"), invalid(b'\r', 1));
    assert_eq!(append(b"a\nb", b"v"), invalid(b'\n', 1));
}

#[test]
fn values_that_would_not_be_read_back_are_refused() {
    let invalid = |byte, position| Err(TextHeaderError::InvalidValue { byte, position });
    assert_eq!(append(b"n", b"a\r"), invalid(b'\r', 1));
    assert_eq!(append(b"n", b"a\nb"), invalid(b'\n', 1));
    assert_eq!(append(b"n", b" "), invalid(b' ', 0));
    assert_eq!(append(b"n", b" a"), invalid(b' ', 0));
    assert_eq!(append(b"n", b"a b\t"), invalid(b'\t', 3));
    assert_eq!(append(b"n", b"\ta\r\n"), invalid(b'\t', 0));
}

#[test]
fn errors_say_what_and_where() {
    let error = TextHeaders::new().append("na:me", "v").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the name of a text header holds ':' at 2"
    );
    assert_eq!(error.status(), Status::INVALID_MESSAGE);
    let error = TextHeaders::new().append("n", "v\r").unwrap_err();
    assert_eq!(
        error.to_string(),
        r"the value of a text header holds '\r' at 1"
    );
    let error = TextHeaders::new().append_raw(&[0; 65536]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "text headers of 65536 bytes exceed 65535"
    );
    assert_eq!(error.status(), Status::INVALID_HEADERS_LEN);
}

#[test]
fn appending_behind_a_block_without_its_last_line_end_starts_a_line() {
    for start in ["a:1", "a:1\r", "a:1\n", "a:1\r\n", ""] {
        let mut headers = TextHeaders::new();
        headers.append_raw(start.as_bytes()).unwrap();
        headers.append("b", "2").unwrap();
        assert_eq!(headers.get("b"), Some(&b"2"[..]), "behind {start:?}");
        assert!(headers.as_bytes().starts_with(start.as_bytes()));
    }
}

#[test]
fn the_limit_holds_to_the_byte_and_nothing_changes_beyond_it() {
    let mut headers = TextHeaders::new();
    headers
        .append("n", vec![b'v'; MAX_TEXT_HEADERS_LEN - 4])
        .unwrap();
    assert_eq!(headers.len(), MAX_TEXT_HEADERS_LEN);
    let full = headers.clone();
    let too_long = |len| {
        Err(TextHeaderError::TooLong {
            len,
            limit: MAX_TEXT_HEADERS_LEN,
        })
    };
    assert_eq!(headers.append("a", ""), too_long(MAX_TEXT_HEADERS_LEN + 4));
    assert_eq!(
        headers.insert_first("a", ""),
        too_long(MAX_TEXT_HEADERS_LEN + 4)
    );
    assert_eq!(headers.append_raw(b"x"), too_long(MAX_TEXT_HEADERS_LEN + 1));
    assert_eq!(headers.replace_raw(&[0; 70000]), too_long(70000));
    assert_eq!(headers, full);
    assert_eq!(
        TextHeaders::new().append("n", vec![b'v'; 65532]),
        too_long(65536)
    );
    assert_eq!(headers.append_raw(b""), Ok(()));
}

#[test]
fn removing_takes_whole_lines_of_that_name_and_no_other_byte() {
    let cases: [(&str, &str, usize, &str); 9] = [
        ("a:1\r\nb:2\r\na:3\r\n", "a", 2, "b:2\r\n"),
        ("a:1\r\nb:2", "b", 1, "a:1\r\n"),
        ("a:1\r\n\r\n x:  y \r\n", "a", 1, "\r\n x:  y \r\n"),
        ("A:1\r\na\r\n", "a", 1, "A:1\r\n"),
        (" a:1\r\naa:2", "a", 0, " a:1\r\naa:2"),
        (":stop\r\na:1\r\nb:2", "a", 1, ":stop\r\nb:2"),
        (":stop\r\na:1", "", 0, ":stop\r\na:1"),
        ("a:1\ra:2", "a", 1, ""),
        ("", "a", 0, ""),
    ];
    for (before, name, count, after) in cases {
        let mut headers = TextHeaders::new();
        headers.replace_raw(before.as_bytes()).unwrap();
        assert_eq!(headers.remove_all(name), count, "{before:?}");
        assert_eq!(headers.as_bytes(), after.as_bytes(), "{before:?}");
    }
}

#[test]
fn memory_is_kept_until_it_is_given_back() {
    let mut headers = TextHeaders::new();
    assert_eq!(headers.capacity(), 0);
    headers.append("n", vec![b'v'; 5000]).unwrap();
    let held = headers.capacity();
    headers.clear();
    assert!(headers.is_empty());
    assert_eq!(headers.capacity(), held);
    headers.shrink_to(100);
    assert!(headers.capacity() <= 100);
}
