//! A body in parts, read by a thread of its own.
//!
//! Standard input may be silent for long; meanwhile the connection may end or the user lose
//! patience, so whoever waits for the peer must not wait for the input. A few parts at
//! most are in memory here.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tofu::msg::MAX_BODY_LEN;
use tofu::prelude::Poster;

use crate::failure::{ExitStatus, Failure, Outcome};
use crate::values::Source;

/// Where a body is read from, with its name for people.
pub(super) struct Open {
    name: String,
    reader: Box<dyn Read + Send>,
}

/// Opens a body, so that one that cannot be read is told before anything is sent.
pub(super) fn open(source: &Source) -> Outcome<Open> {
    let (name, reader): (_, Box<dyn Read + Send>) = match source {
        Source::Text(text) => ("the text".to_owned(), Box::new(Cursor::new(text.clone()))),
        Source::StandardInput => ("standard input".to_owned(), Box::new(io::stdin())),
        Source::File(path) => {
            let name = path.display().to_string();
            let file = open_file(path).map_err(|error| unreadable(&name, &error))?;
            (name, Box::new(file))
        }
    };
    Ok(Open { name, reader })
}

/// A folder can be opened, but not be read.
fn open_file(path: &std::path::Path) -> io::Result<File> {
    let file = File::open(path)?;
    match file.metadata()?.is_dir() {
        true => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        false => Ok(file),
    }
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::new(ExitStatus::Failure, format!("cannot read {name}: {error}"))
}

/// A part of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) content: Vec<u8>,
    /// Further parts follow.
    pub(super) more: bool,
}

/// The parts as they have been read.
pub(super) struct Parts {
    name: String,
    receiver: Receiver<io::Result<Next>>,
}

impl Parts {
    /// Begins to read. After each part the poster's group is woken.
    pub(super) fn read(body: Open, poster: Poster) -> Outcome<Parts> {
        let Open { name, mut reader } = body;
        let (sender, receiver) = sync_channel(1);
        let read = move || {
            let end = read_parts(&mut reader, |next| hand_over(&sender, &poster, Ok(next)));
            if let Err(error) = end {
                hand_over(&sender, &poster, Err(error));
            }
        };
        let thread = thread::Builder::new().name("tofu-body".to_owned());
        thread
            .spawn(read)
            .map_err(|error| unreadable(&name, &error))?;
        Ok(Parts { name, receiver })
    }

    /// The next part, if it has been read.
    pub(super) fn next(&self) -> Outcome<Option<Next>> {
        match self.receiver.try_recv() {
            Ok(Ok(next)) => Ok(Some(next)),
            Ok(Err(error)) => Err(unreadable(&self.name, &error)),
            Err(_) => Ok(None),
        }
    }
}

/// Waits until the part before is taken. Says whether anybody is there to take this one.
fn hand_over(
    sender: &SyncSender<io::Result<Next>>,
    poster: &Poster,
    part: io::Result<Next>,
) -> bool {
    let is_taken = sender.send(part).is_ok();
    // Refused only when many updates wait or the engine has ended: nobody sleeps either way.
    let _refused = poster.update_receiver(None);
    is_taken
}

/// Gives the parts to `take` until it says no. There is always one, if only an empty one. A full
/// part is given as soon as a single further byte shows that it is not the last.
fn read_parts(reader: &mut dyn Read, mut take: impl FnMut(Next) -> bool) -> io::Result<()> {
    let mut content = Vec::new();
    loop {
        fill(&mut content, MAX_BODY_LEN, reader)?;
        let mut following = Vec::new();
        if content.len() == MAX_BODY_LEN {
            fill(&mut following, 1, reader)?;
        }
        let more = !following.is_empty();
        if !take(Next { content, more }) || !more {
            return Ok(());
        }
        content = following;
    }
}

/// Reads until there are `len` bytes; fewer only at the end.
fn fill(content: &mut Vec<u8>, len: usize, reader: &mut dyn Read) -> io::Result<()> {
    let missing = u64::try_from(len.saturating_sub(content.len())).unwrap_or(u64::MAX);
    reader.take(missing).read_to_end(content)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(len: usize) -> Vec<(usize, bool)> {
        let mut found = Vec::new();
        let body = vec![7; len];
        read_parts(&mut body.as_slice(), |next| {
            found.push((next.content.len(), next.more));
            true
        })
        .unwrap();
        found
    }

    #[test]
    fn only_the_last_part_has_no_more() {
        assert_eq!(lengths(0), [(0, false)]);
        assert_eq!(lengths(65535), [(65535, false)]);
        assert_eq!(lengths(65536), [(65535, true), (1, false)]);
        assert_eq!(lengths(131_070), [(65535, true), (65535, false)]);
    }
}
