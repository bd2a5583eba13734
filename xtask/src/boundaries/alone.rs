//! The message crate, used by a program that knows nothing of this workspace.
//!
//! Called by `boundaries`. It writes a throw-away crate into a temporary folder, with `tofu-msg`
//! as its only dependency, and runs it: encode, decode, compare.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::deadline::Deadline;
use crate::{process, workspace};

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
    let directory = tempfile::tempdir().context("cannot create a temporary folder")?;
    write_crate(directory.path())?;
    let mut command = workspace::cargo();
    command
        .current_dir(directory.path())
        .args(["run", "--quiet"]);
    command.env(
        "CARGO_TARGET_DIR",
        workspace::target_directory().join("boundaries"),
    );
    process::run(&mut command, deadline)
}

fn write_crate(directory: &Path) -> Result<()> {
    let root = workspace::root();
    let sources = directory.join("src");
    fs::create_dir(&sources).context("cannot create src")?;
    fs::write(sources.join("main.rs"), PROGRAM).context("cannot write main.rs")?;
    fs::write(directory.join("Cargo.toml"), manifest(root)).context("cannot write Cargo.toml")?;
    // The versions that the workspace has been tested with, and has already fetched.
    fs::copy(root.join("Cargo.lock"), directory.join("Cargo.lock"))
        .context("cannot copy Cargo.lock")?;
    Ok(())
}

fn manifest(root: &Path) -> String {
    let codec = root.join("crates/tofu-msg");
    format!(
        "[package]\nname = \"alone\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\ntofu-msg = {{ path = {:?} }}\n",
        codec.display().to_string()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_names_one_dependency_by_its_path() {
        let text = manifest(Path::new("/some/where"));
        let (_, dependencies) = text.split_once("[dependencies]\n").unwrap();
        assert_eq!(
            dependencies,
            "tofu-msg = { path = \"/some/where/crates/tofu-msg\" }\n"
        );
        assert!(text.contains("[workspace]\n"));
    }
}
