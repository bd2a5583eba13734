//! A message as bytes that leave in pieces.
//!
//! For whoever writes to something that may take a part: a socket, a fixed buffer. The message is
//! only borrowed and never changed, so it can be given back unharmed at any point.

use crate::layout::HEADER_LEN;
use crate::{BinaryHeader, Message};

/// Hands out a message's frame, any number of bytes at a time.
///
/// An encoder is cheap to make anew: to go on with a frame of which `n` bytes have left, call
/// [`Encoder::advance`] with `n` on a fresh one.
///
/// ```
/// use tofu_msg::{Encoder, Message, OpCode};
///
/// let message = Message::new(OpCode::Signal);
/// let mut encoder = Encoder::new(&message);
/// let mut small = [0; 10];
/// assert_eq!(encoder.encode(&mut small), 10);
/// assert_eq!(encoder.remaining(), 6);
/// assert_eq!(encoder.encode(&mut small), 6);
/// assert!(encoder.is_done());
/// ```
#[derive(Clone, Debug)]
pub struct Encoder<'a> {
    header: [u8; HEADER_LEN],
    message: &'a Message,
    /// Bytes of the frame that have left. Invariant: at most the frame's length.
    position: usize,
}

impl<'a> Encoder<'a> {
    /// At the start of the message's frame.
    #[inline]
    pub fn new(message: &'a Message) -> Self {
        Self::with_header(message.header(), message)
    }

    /// The same with this header in place of the message's own; its two lengths are set to those
    /// of the content.
    #[inline]
    pub fn with_header(header: BinaryHeader, message: &'a Message) -> Self {
        Self {
            header: message.measured(header).encode(),
            message,
            position: 0,
        }
    }

    /// Bytes that have not left yet.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.message.frame_len() - self.position
    }

    /// Whether all bytes have left.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.remaining() == 0
    }

    /// Copies as many bytes as fit into `out` and says how many.
    pub fn encode(&mut self, out: &mut [u8]) -> usize {
        let mut written = 0;
        for part in self.slices() {
            let len = part.len().min(out.len() - written);
            out[written..written + len].copy_from_slice(&part[..len]);
            written += len;
        }
        self.advance(written);
        written
    }

    /// What remains of header, text headers and body, for a vectored write; tell
    /// [`Encoder::advance`] how many bytes went.
    #[inline]
    pub fn slices(&self) -> [&[u8]; 3] {
        let mut skip = self.position;
        [
            &self.header[..],
            self.message.text_headers().as_bytes(),
            self.message.body().as_bytes(),
        ]
        .map(|part| {
            let skipped = skip.min(part.len());
            skip -= skipped;
            &part[skipped..]
        })
    }

    /// Counts bytes as having left; more than remain count as all of them.
    #[inline]
    pub fn advance(&mut self, len: usize) {
        self.position += len.min(self.remaining());
    }

    /// Writes what remains, header, text headers and body in one vectored write where the writer
    /// can.
    ///
    /// # Errors
    /// The writer's own, `WouldBlock` and `Interrupted` among them; `WriteZero` if it takes
    /// nothing. What it took before is remembered: call again to go on.
    #[cfg(feature = "std")]
    pub fn write_to<W: std::io::Write>(&mut self, mut writer: W) -> std::io::Result<()> {
        while !self.is_done() {
            let slices = self.slices().map(std::io::IoSlice::new);
            match writer.write_vectored(&slices)? {
                0 => return Err(std::io::ErrorKind::WriteZero.into()),
                len => self.advance(len),
            }
        }
        Ok(())
    }
}
