//! The receiving process: takes the parts, tells how far it is, answers the last one.
//!
//! Started by the sender. Ends when its first client has left.

use sha2::{Digest, Sha256};
use tofu::prelude::*;
use tofu_examples::{Outcome, listen, next, unexpected};

use crate::{CHECKSUM, PEAK_MEMORY, peak_memory};

/// The sender is told how far we are every so many bytes.
const PROGRESS: u64 = 1024 * 1024;

/// Receives one file. The first line of the output is the address to connect to.
pub(crate) fn receive(address: &str) -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let endpoint = listen(&engine, &mut group, address.parse()?)?;
    println!("{endpoint}");

    let mut file = Received::default();
    loop {
        match Incoming::from(next(&mut group)?) {
            Incoming::Peer(message) if message.op_code() == OpCode::Request => {
                if let Some(answer) = file.take(message)? {
                    group.post(answer)?;
                }
            }
            // A HelloRequest or a ByeRequest.
            Incoming::Peer(mut message) => {
                message.make_reply();
                group.post(message)?;
            }
            Incoming::Engine(Notice::ChannelClosed(info), _)
                if info.cause.status().is_success() =>
            {
                return Ok(());
            }
            other => return Err(unexpected(&other)),
        }
    }
}

/// What has come of the file; the bytes themselves are not kept.
#[derive(Default)]
struct Received {
    checksum: Sha256,
    bytes: u64,
}

impl Received {
    /// Takes the next part. What is to be answered is made of the part's own message: it has the
    /// right channel and id already. Dropping the message gives it back to the pool.
    fn take(&mut self, mut part: Msg) -> Outcome<Option<Msg>> {
        let before = self.bytes / PROGRESS;
        self.checksum.update(part.body().as_bytes());
        self.bytes += part.body().len() as u64;
        if !part.more() {
            part.make_reply();
            part.body_mut().clear();
            let checksum = std::mem::take(&mut self.checksum).finalize();
            let headers = part.text_headers_mut();
            headers.append(CHECKSUM, format!("{checksum:x}"))?;
            headers.append(PEAK_MEMORY, peak_memory())?;
        } else if self.bytes / PROGRESS > before {
            part.set_op_code(OpCode::Signal);
            part.set_more(false);
            part.body_mut().replace(&self.bytes.to_be_bytes())?;
        } else {
            return Ok(None);
        }
        Ok(Some(part))
    }
}
