//! Books that survive their writer's death: what a process was about to post, and what it has taken.
//!
//! Written by the soak's processes for every message, read by the soak when all is over. A book is a
//! file of fixed places, each written over in one call, so that a process killed at any moment
//! leaves either the old number or the new one.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

/// A stream's number is the life of its sender, then a count in so many bits.
const COUNT_BITS: u32 = 20;

/// Bytes of a place in the book of what was taken: the stream, padding, the number.
const TAKEN_LEN: usize = 16;

/// The life of the process that posts this stream.
pub(crate) fn sender(stream: u32) -> u32 {
    stream >> COUNT_BITS
}

fn posted_path(folder: &Path, life: u32) -> PathBuf {
    folder.join(format!("posted-{life}"))
}

fn taken_path(folder: &Path, life: u32) -> PathBuf {
    folder.join(format!("taken-{life}"))
}

/// What one process was about to post, by stream. Written before the post: of each stream at most
/// the last number may not have been accepted.
#[derive(Debug)]
pub(crate) struct PostedBook {
    file: File,
    life: u32,
    streams: AtomicU32,
}

impl PostedBook {
    pub(crate) fn create(folder: &Path, life: u32) -> Result<PostedBook> {
        ensure!(life >> (u32::BITS - COUNT_BITS) == 0, "too many lives");
        Ok(PostedBook {
            file: File::create_new(posted_path(folder, life))?,
            life,
            streams: AtomicU32::new(0),
        })
    }

    /// A stream that nobody has used.
    pub(crate) fn stream(&self) -> Result<u32> {
        let count = self.streams.fetch_add(1, Ordering::Relaxed);
        ensure!(count >> COUNT_BITS == 0, "too many streams");
        Ok(self.life << COUNT_BITS | count)
    }

    /// Notes that this message will be posted next.
    pub(crate) fn intend(&self, stream: u32, number: u64) -> Result<()> {
        let place = u64::from(stream & ((1 << COUNT_BITS) - 1)) * 8;
        self.file
            .write_all_at(&number.to_be_bytes(), place)
            .context("the book of what is posted")
    }
}

/// The last number that a life intended to post, by stream.
pub(crate) fn read_posted(folder: &Path, life: u32) -> Result<BTreeMap<u32, u64>> {
    let bytes = std::fs::read(posted_path(folder, life))?;
    let places = bytes.chunks_exact(8).filter_map(<[u8]>::first_chunk);
    let numbers = places.map(|place| u64::from_be_bytes(*place));
    Ok((life << COUNT_BITS..).zip(numbers).collect())
}

/// What one process has taken, by stream: every number behind the one before.
#[derive(Debug)]
pub(crate) struct TakenBook {
    file: File,
    /// Place and last number of the streams that are still open.
    open: HashMap<u32, (u64, u64)>,
    places: u64,
}

impl TakenBook {
    pub(crate) fn create(folder: &Path, life: u32) -> Result<TakenBook> {
        Ok(TakenBook {
            file: File::create_new(taken_path(folder, life))?,
            open: HashMap::new(),
            places: 0,
        })
    }

    /// Notes a message that was received; an error if it is not the next one of its stream.
    pub(crate) fn take(&mut self, stream: u32, number: u64) -> Result<()> {
        let (place, last) = self.open.entry(stream).or_insert_with(|| {
            self.places += 1;
            (self.places - 1, 0)
        });
        ensure!(
            number == *last + 1,
            "{stream}/{number} was delivered behind {stream}/{last}"
        );
        *last = number;
        let mut bytes = [0; TAKEN_LEN];
        bytes[..4].copy_from_slice(&stream.to_be_bytes());
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        self.file
            .write_all_at(&bytes, *place * TAKEN_LEN as u64)
            .context("the book of what was taken")
    }

    /// The stream has ended: its number stays in the file alone.
    pub(crate) fn close(&mut self, stream: u32) {
        self.open.remove(&stream);
    }
}

/// How many messages a life has taken, by stream; an error where a stream stands in two places.
pub(crate) fn read_taken(folder: &Path, life: u32) -> Result<BTreeMap<u32, u64>> {
    let bytes = std::fs::read(taken_path(folder, life))?;
    let mut taken = BTreeMap::new();
    for place in bytes.chunks_exact(TAKEN_LEN) {
        let (stream, rest) = place.split_first_chunk().context("no stream")?;
        let number = rest.last_chunk().context("no number")?;
        let stream = u32::from_be_bytes(*stream);
        let twice = taken.insert(stream, u64::from_be_bytes(*number));
        ensure!(twice.is_none(), "life {life} began stream {stream} twice");
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use tofu_testkit::TempUdsPath;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_disorder_is_seen() {
        let path = TempUdsPath::new().unwrap();
        let folder = path.parent().unwrap();
        let posted = PostedBook::create(folder, 3).unwrap();
        let streams = [posted.stream().unwrap(), posted.stream().unwrap()];
        posted.intend(streams[1], 7).unwrap();
        assert_eq!(sender(streams[1]), 3);
        let read = read_posted(folder, 3).unwrap();
        assert_eq!(read, [(streams[0], 0), (streams[1], 7)].into());

        let mut taken = TakenBook::create(folder, 4).unwrap();
        for (stream, number) in [(9, 1), (8, 1), (9, 2)] {
            taken.take(stream, number).unwrap();
        }
        assert!(taken.take(9, 2).is_err(), "twice");
        assert!(taken.take(9, 4).is_err(), "a gap");
        assert!(taken.take(7, 2).is_err(), "no beginning");
        assert_eq!(read_taken(folder, 4).unwrap(), [(8, 1), (9, 2)].into());
        taken.close(8);
        taken.take(8, 1).unwrap();
        assert!(read_taken(folder, 4).is_err(), "begun twice");
    }
}
