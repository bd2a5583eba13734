//! Linux's inotify: the kernel tells when something that leads to a file changes.
//!
//! Used by the watch over socket files, one per engine. Not the folder's contents are watched but
//! each part of the path for itself: the file, the folders above it, and the links among them. So
//! a folder that moves is noticed however far up it lies, and what others do in a busy folder
//! wakes nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use crate::core::transport::Token;
use crate::net::token::SOCKET_FILES;

/// Parts that a path may have, its links followed, to be watched.
const MOST_PARTS: usize = 256;

/// One inotify descriptor.
#[derive(Debug)]
pub(super) struct Notifier {
    inotify: Inotify,
    /// Which files hang on a part of a path; parts are shared. The same pairs as in `parts`.
    files: BTreeSet<(WatchDescriptor, Token)>,
    parts: BTreeMap<Token, BTreeSet<WatchDescriptor>>,
}

impl Notifier {
    /// A notifier that the poller reports as [`SOCKET_FILES`].
    pub(super) fn new(registry: &Registry) -> io::Result<Notifier> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let descriptor = inotify.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&descriptor), SOCKET_FILES, Interest::READABLE)?;
        Ok(Notifier {
            inotify,
            files: BTreeSet::new(),
            parts: BTreeMap::new(),
        })
    }

    /// Will tell of every change to a part of the absolute `path` of the file called `token`.
    pub(super) fn watch(&mut self, token: Token, path: &Path) -> io::Result<()> {
        let watched = parts(path).and_then(|parts| {
            let mut parts = parts.iter();
            parts.try_for_each(|part| self.watch_part(token, part, part == path))
        });
        if watched.is_err() {
            self.forget(token);
        }
        watched
    }

    fn watch_part(&mut self, token: Token, part: &Path, is_file: bool) -> io::Result<()> {
        let mut changes = AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_DELETE_SELF;
        if is_file {
            // The file of a living socket is never deleted, but its number of links changes.
            changes |= AddWatchFlags::IN_ATTRIB;
        }
        let watch = self
            .inotify
            .add_watch(part, changes | AddWatchFlags::IN_DONT_FOLLOW)?;
        self.files.insert((watch, token));
        self.parts.entry(token).or_default().insert(watch);
        Ok(())
    }

    /// Will tell nothing more of the file called `token`.
    pub(super) fn forget(&mut self, token: Token) {
        for watch in self.parts.remove(&token).unwrap_or_default() {
            self.files.remove(&(watch, token));
            if self.files_behind(watch).next().is_none() {
                // Of a part that was deleted the kernel has let go by itself.
                let _ = self.inotify.rm_watch(watch);
            }
        }
    }

    /// Adds the files that may have been lost to `suspects`.
    pub(super) fn take_events(&mut self, suspects: &mut BTreeSet<Token>) {
        loop {
            match self.inotify.read_events() {
                Ok(events) => {
                    for event in &events {
                        self.suspect(event, suspects);
                    }
                }
                Err(Errno::EINTR) => {}
                // There are no more.
                Err(_) => return,
            }
        }
    }

    fn suspect(&self, event: &InotifyEvent, suspects: &mut BTreeSet<Token>) {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            suspects.extend(self.parts.keys());
        } else {
            suspects.extend(self.files_behind(event.wd));
        }
    }

    fn files_behind(&self, watch: WatchDescriptor) -> impl Iterator<Item = Token> {
        let token = |number| Token {
            slot: number,
            generation: number,
        };
        let all = (watch, token(u32::MIN))..=(watch, token(u32::MAX));
        self.files.range(all).map(|(_, token)| *token)
    }
}

/// Every file, folder and link that has a say in where the absolute `path` leads.
fn parts(path: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut parts = BTreeSet::new();
    let mut paths = vec![path.to_owned()];
    while let Some(path) = paths.pop() {
        // Where one part is known, so are those above it.
        for part in path.ancestors() {
            if !parts.insert(part.to_owned()) {
                break;
            }
            if parts.len() > MOST_PARTS {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            if let (Ok(target), Some(folder)) = (fs::read_link(part), part.parent()) {
                paths.push(folder.join(target));
            }
        }
    }
    Ok(parts)
}

#[cfg(test)]
impl Notifier {
    /// Checks that both maps and the kernel know of the same watches; returns how many those are.
    pub(super) fn check(&self) -> usize {
        let pairs = self.parts.iter().flat_map(|(token, parts)| {
            assert!(!parts.is_empty());
            parts.iter().map(|watch| (*watch, *token))
        });
        assert_eq!(pairs.collect::<BTreeSet<_>>(), self.files);
        let watches: BTreeSet<_> = self.files.iter().map(|(watch, _)| watch).collect();
        let descriptor = self.inotify.as_fd().as_raw_fd();
        let of_kernel = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap();
        let of_kernel = of_kernel
            .lines()
            .filter(|line| line.starts_with("inotify "));
        assert_eq!(of_kernel.count(), watches.len());
        watches.len()
    }
}
