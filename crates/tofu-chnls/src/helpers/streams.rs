//! Bodies of any size: cut into messages with `more`, and put together again.
//!
//! A stream is a row of Requests, Responses or Signals of one channel and one message id; all but the
//! last have `more` set, and the first carries the text headers. [`Chunks`] and [`ChunkWriter`] send
//! one, a [`Reassembler`] receives any number at once. Programs use these; they use only the four
//! calls themselves, and know nothing of the engine that a program could not know.

mod chunks;
mod error;
mod head;
mod limits;
mod memory;
mod pipe;
mod reader;
mod reassembler;
mod received;
mod send;
mod table;
#[cfg(test)]
mod tests;
mod writer;

pub use self::chunks::Chunks;
pub use self::error::{ChunkError, StreamError, StreamFault, StreamId};
pub use self::head::STREAM_ABORTED;
pub use self::limits::{StreamLimit, StreamLimits};
pub use self::reader::StreamReader;
pub use self::reassembler::Reassembler;
pub use self::received::{Received, Swallowed, WholeBody};
pub use self::send::{Progress, Sent};
pub use self::writer::ChunkWriter;

/// Bytes of body in one message unless told otherwise: large enough to travel uncopied, small
/// enough that several fit into what a channel may do in one turn.
const CHUNK_LEN: usize = 32 * 1024;
