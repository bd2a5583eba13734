//! The message crate, used by a program that knows nothing of this workspace.
//!
//! Called by `boundaries`. It writes a throw-away crate into a temporary folder, with `tofu-msg`
//! as its only dependency, and runs it: encode, decode, compare.

use std::path::Path;

use anyhow::Result;

use super::throwaway::{Throwaway, dependency_on};
use crate::deadline::Deadline;
use crate::workspace;

const PROGRAM: &str = r#"
use tofu_msg::{Decoder, Message, MessageId, OpCode};

fn main() {
    let mut message = Message::new(OpCode::Request);
    message.set_message_id(MessageId::new(7));
    message.text_headers_mut().append("name", "value").expect("a valid text header");
    message.body_mut().append(b"hello").expect("a short body");
    let mut bytes = Vec::new();
    message.encode_into(&mut bytes);

    let mut input = bytes.as_slice();
    let decoded = Decoder::new().decode(&mut input).expect("a valid frame").expect("a whole frame");
    assert!(input.is_empty());
    assert_eq!(decoded.op_code(), OpCode::Request);
    assert_eq!(decoded.message_id(), MessageId::new(7));
    assert_eq!(decoded.text_headers().get("name"), Some(b"value".as_slice()));
    assert_eq!(decoded.body().as_bytes(), b"hello");
}
"#;

pub(super) fn run(deadline: Deadline) -> Result<()> {
    stranger(workspace::root()).cargo("run", deadline)
}

fn stranger(root: &Path) -> Throwaway {
    Throwaway {
        name: "alone",
        file: "main.rs",
        source: PROGRAM.to_owned(),
        dependencies: dependency_on(root, "tofu-msg"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_depends_on_the_message_crate_and_nothing_else() {
        let stranger = stranger(Path::new("/some/where"));
        let message = "tofu-msg = { path = \"/some/where/crates/tofu-msg\" }\n";
        assert_eq!(stranger.dependencies, message);
    }
}
