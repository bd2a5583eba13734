//! Whether the files of listening Unix domain sockets are still where clients look for them: a
//! listener gets no event when its file is removed or replaced.
//!
//! Called by the transport. The kernel is asked to tell of every change that may matter; the files
//! it does not tell of are looked at every few seconds: all of them where there is no such kernel
//! service, and those that are lost, for they may come back. What a change was is never taken from
//! an event: the file is looked at. What somebody mounts over a path is the kernel's secret.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use mio::Registry;

use super::socket_file::Place;
use crate::core::time::Time;
use crate::core::transport::Token;
use crate::sync::Arc;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod inotify;
#[cfg(any(target_os = "linux", target_os = "android"))]
use inotify::Notifier;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod silent;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use silent::Notifier;

/// How often a file is looked at that the kernel does not tell of.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The socket files of an engine's listeners.
#[derive(Debug, Default)]
pub(super) struct FileWatch {
    /// By the listener's token. A listener that is gone leaves its entry to the next look: its
    /// removing the file is an event as well.
    files: BTreeMap<Token, Watched>,
    /// Made for the first file.
    notifier: Option<Notifier>,
    /// To be looked at as soon as possible: they are new, or the kernel has told of them.
    suspects: BTreeSet<Token>,
    /// Those that the kernel does not tell of.
    untold: BTreeSet<Token>,
    /// When to look at those. `None` exactly if there are none.
    next_look: Option<Time>,
}

#[derive(Debug)]
struct Watched {
    /// Shared with the listener while it lives.
    place: Arc<Place>,
    /// The file was not there when last looked for, and that has been reported.
    lost: bool,
}

impl FileWatch {
    /// Watches the file of a listener for as long as it lives.
    pub(super) fn add(&mut self, listener: Token, place: Arc<Place>) {
        self.files.insert(listener, Watched { place, lost: false });
        self.suspects.insert(listener);
    }

    /// The poller has reported the notifier.
    pub(super) fn take_events(&mut self) {
        if let Some(notifier) = &mut self.notifier {
            notifier.take_events(&mut self.suspects);
        }
    }

    /// When [`look`](FileWatch::look) has something to do.
    pub(super) fn next_look(&self) -> Option<Time> {
        if self.suspects.is_empty() {
            self.next_look
        } else {
            Some(Time::START)
        }
    }

    /// Looks at the files whose moment has come; returns the listeners whose files have been lost
    /// since the last look.
    pub(super) fn look(&mut self, now: Time, registry: &Registry) -> Vec<Token> {
        let mut due = std::mem::take(&mut self.suspects);
        if self.next_look.is_some_and(|at| at <= now) {
            due.append(&mut self.untold);
            self.next_look = None;
        }
        if due.is_empty() {
            return Vec::new();
        }
        let lost = due
            .into_iter()
            .filter(|listener| self.is_newly_lost(*listener, registry))
            .collect();
        if self.untold.is_empty() {
            self.next_look = None;
        } else {
            self.next_look.get_or_insert(now.after(LOOK_INTERVAL));
        }
        lost
    }

    /// Looks at one file. The notifier is asked afresh each time, for what leads to the file may
    /// have changed although the file is in its place.
    fn is_newly_lost(&mut self, listener: Token, registry: &Registry) -> bool {
        self.forget(listener);
        let Some(Watched { place, lost }) = self.files.get_mut(&listener) else {
            return false;
        };
        if Arc::strong_count(place) == 1 {
            self.files.remove(&listener);
            return false;
        }
        let is_told =
            place.has_its_file() && watch(&mut self.notifier, listener, place.path(), registry);
        // This look comes second, so that no change falls between the two.
        let is_lost = !place.has_its_file();
        if is_lost || !is_told {
            self.untold.insert(listener);
        }
        let was_lost = std::mem::replace(lost, is_lost);
        is_lost && !was_lost
    }

    fn forget(&mut self, listener: Token) {
        self.untold.remove(&listener);
        if let Some(notifier) = &mut self.notifier {
            notifier.forget(listener);
        }
    }
}

/// Asks the kernel to tell of a file. `false` where it will not: the system has no such service, or
/// all of it is taken, which may be otherwise at the next look.
fn watch(
    notifier: &mut Option<Notifier>,
    listener: Token,
    path: &Path,
    registry: &Registry,
) -> bool {
    if notifier.is_none() {
        *notifier = Notifier::new(registry).ok();
    }
    notifier
        .as_mut()
        .is_some_and(|notifier| notifier.watch(listener, path).is_ok())
}

#[cfg(test)]
mod tests;
