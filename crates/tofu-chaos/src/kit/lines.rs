//! Lines of another process, read in a thread of its own so that waiting for one can have a limit.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

/// When the lines ended; empty as long as they have not.
pub(crate) type End = Arc<OnceLock<Instant>>;

/// The lines as they come, and their end; the channel closes behind the last one.
pub(crate) fn read_lines(source: impl Read + Send + 'static) -> (Receiver<String>, End) {
    let (sender, receiver) = channel();
    let end = End::default();
    let ended = Arc::clone(&end);
    thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
        ended.get_or_init(Instant::now);
    });
    (receiver, end)
}
