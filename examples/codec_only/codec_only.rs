//! The wire format without the engine: messages into a file, and out of it again.
//!
//! A file is a stream of bytes like a connection is, so what is shown here holds for any transport
//! of your own. The decoder is given 7 bytes at a time, which cuts every header and every body, and
//! does not care. With `--keep` the file stays, to be looked at. Depends on the crate `tofu-msg`
//! alone.
//!
//! ```text
//! $ cargo run --release --example codec_only
//! wrote 5 messages, 65684 bytes, to /tmp/tofu-codec-only-4711.bin
//! read them back in pieces of 7 bytes:
//!   Request     id 1  0 text headers      0 bytes of body
//!   Request  +  id 2  2 text headers      5 bytes of body
//!   Request     id 2  0 text headers      7 bytes of body
//!   Response    id 2  0 text headers     19 bytes of body
//!   Signal      id 3  0 text headers  65535 bytes of body
//! all 5 messages are equal
//! ```
//!
//! (`+` stands for `more`: further messages of the same operation follow.)

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tofu_msg::{Decoder, Encoder, MAX_BODY_LEN, Message, MessageId, OpCode, Origin};

/// Small and odd, so that nothing happens to fit.
const PIECE: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let messages = messages()?;
    let name = format!("tofu-codec-only-{}.bin", std::process::id());
    let path = std::env::temp_dir().join(name);

    let length = write(&path, &messages)?;
    let count = messages.len();
    println!(
        "wrote {count} messages, {length} bytes, to {}",
        path.display()
    );

    let received = read(&path)?;
    if !std::env::args().any(|argument| argument == "--keep") {
        fs::remove_file(&path)?;
    }
    println!("read them back in pieces of {PIECE} bytes:");
    received.iter().for_each(describe);

    if received != messages {
        return Err("what came back differs from what was written".into());
    }
    println!("all {count} messages are equal");
    Ok(())
}

/// One of each kind: empty, with text headers, the parts of a longer operation, the longest body.
fn messages() -> Result<Vec<Message>, Box<dyn Error>> {
    let empty = message(OpCode::Request, 1);

    let mut first_part = message(OpCode::Request, 2);
    first_part.set_more(true);
    let headers = first_part.text_headers_mut();
    headers.append("Content-Type", "text/plain")?;
    headers.append("Language", "en")?;
    first_part.body_mut().append(b"Hello")?;

    let mut last_part = message(OpCode::Request, 2);
    last_part.body_mut().append(b", world")?;

    let mut answer = message(OpCode::Response, 2);
    answer
        .body_mut()
        .write_all("✓ both parts came".as_bytes())?;

    let mut longest = message(OpCode::Signal, 3);
    let pattern: Vec<u8> = (0..=u8::MAX).cycle().take(MAX_BODY_LEN).collect();
    longest.body_mut().replace(&pattern)?;

    Ok(vec![empty, first_part, last_part, answer, longest])
}

/// A message as a reader will see it: what was decoded says that it came from the peer.
fn message(op_code: OpCode, id: u64) -> Message {
    let mut message = Message::new(op_code);
    message.set_message_id(MessageId::new(id));
    message.set_origin(Origin::Peer);
    message
}

/// Writes the frames back to back, with nothing between them. Returns how many bytes that were.
fn write(path: &Path, messages: &[Message]) -> io::Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    for message in messages {
        Encoder::new(message).write_to(&mut file)?;
    }
    file.into_inner()?.metadata().map(|metadata| metadata.len())
}

/// Decodes piece after piece; a piece may finish no message, one, or several.
fn read(path: &Path) -> Result<Vec<Message>, Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let mut decoder = Decoder::new();
    let mut messages = Vec::new();
    for mut piece in bytes.chunks(PIECE) {
        while let Some(message) = decoder.decode(&mut piece)? {
            messages.push(message);
        }
    }
    match decoder.buffered_len() {
        0 => Ok(messages),
        left => Err(format!("the file ends {left} bytes into a frame").into()),
    }
}

fn describe(message: &Message) {
    let op_code = message.op_code().name();
    let more = if message.more() { "+" } else { " " };
    let id = message.message_id();
    let headers = message.text_headers().iter().count();
    let body = message.body().len();
    println!("  {op_code:<8} {more}  id {id}  {headers} text headers  {body:>5} bytes of body");
}
