//! The file of a listening Unix domain socket: made with the right mode, never in the place of
//! anything that is somebody else's, and removed with its listener.
//!
//! Called by the Unix domain transport. Only a dead socket is ever removed to make room, and only
//! under a lock on its folder, held from the look at the old file until the new one is listened
//! on: in between, a second process would take the new socket for dead as well. The lock is on the
//! folder because a lock file beside the socket could never be removed safely itself.

use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, Flock, FlockArg, OFlag};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, lstat, mode_t};
use socket2::{SockAddr, Socket};

use super::socket::{SocketOptions, uninterrupted};
use super::uds;
use crate::sync::Arc;

/// How often, and after what pause, a folder's lock is asked for again: the engine thread waits, so
/// 100 ms at most. Who holds it makes a socket, which takes far less than a millisecond.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// A socket file that we made; dropping it removes it, if it is still there and still ours.
#[derive(Debug)]
pub(super) struct SocketFile {
    place: Arc<Place>,
}

/// Where a socket file was made, and which file it is.
#[derive(Debug)]
pub(super) struct Place {
    /// Absolute, for the working folder may change.
    path: PathBuf,
    device: u64,
    /// No later file can have it while our socket lives, for the socket keeps its file's inode.
    inode: u64,
}

impl SocketFile {
    /// Binds `socket` to `path` (`address` says the same) and listens.
    pub(super) fn listen(
        socket: &Socket,
        address: &SockAddr,
        path: &Path,
        options: &SocketOptions,
    ) -> io::Result<SocketFile> {
        let absolute = std::path::absolute(path)?;
        let lock = lock_folder(&absolute);
        let mode = Mode::from_bits_truncate(mode_t::from(options.uds_mode & 0o777));
        // Linux gives the file the socket's mode. Elsewhere this fails, and the mode follows below.
        let _ = fchmod(socket, mode);
        bind(socket, address, path, lock.is_some())?;
        let place = Arc::new(Place::of_new_file(absolute)?);
        let file = SocketFile { place };
        file.ensure_mode(mode)?;
        socket.listen(options.backlog)?;
        Ok(file)
    }

    /// Its place, shared with whoever watches it: a place that nobody shares any more is one whose
    /// file is no longer ours.
    pub(super) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Adds what the process's file mode mask took away, for whoever asks for a mode means it.
    fn ensure_mode(&self, mode: Mode) -> io::Result<()> {
        let path = &self.place.path;
        if Mode::from_bits_truncate(lstat(path)?.st_mode) != mode {
            fchmodat(AT_FDCWD, path, mode, FchmodatFlags::NoFollowSymlink)?;
        }
        Ok(())
    }
}

impl Place {
    fn of_new_file(path: PathBuf) -> io::Result<Place> {
        let metadata = fs::symlink_metadata(&path)?;
        Ok(Place {
            path,
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to the file.
    pub(super) fn has_its_file(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| metadata.dev() == self.device && metadata.ino() == self.inode)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.place.has_its_file() {
            // A file that cannot be removed stays as a dead socket, for the next listener to find.
            let _ = fs::remove_file(&self.place.path);
        }
    }
}

/// Takes the lock of the folder that `path` lies in. `None` where that is not to be had: the folder
/// may be unreadable, its file system without locks, or the lock taken for long.
fn lock_folder(path: &Path) -> Option<Flock<File>> {
    let mut folder = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_DIRECTORY.bits())
        .open(path.parent()?)
        .ok()?;
    for _ in 0..LOCK_ATTEMPTS {
        match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((again, Errno::EWOULDBLOCK | Errno::EINTR)) => folder = again,
            Err(_) => return None,
        }
        thread::sleep(LOCK_PAUSE);
    }
    None
}

/// Binds, which never replaces a file; if a dead socket is in the way, removes it first.
fn bind(socket: &Socket, address: &SockAddr, path: &Path, locked: bool) -> io::Result<()> {
    match socket.bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_dead_socket(address, path, locked)?;
            socket.bind(address)
        }
        result => result,
    }
}

fn remove_dead_socket(address: &SockAddr, path: &Path, locked: bool) -> io::Result<()> {
    let file_type = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file_type.is_socket() {
        let what = describe(file_type);
        return Err(refusal(io::ErrorKind::AlreadyExists, path, what));
    }
    let in_use = |what: &str| Err(refusal(io::ErrorKind::AddrInUse, path, what));
    match probe(address) {
        Ok(()) => in_use("a socket that somebody listens on"),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            io::ErrorKind::WouldBlock => in_use("a socket that somebody listens on"),
            io::ErrorKind::ConnectionRefused if locked => fs::remove_file(path),
            io::ErrorKind::ConnectionRefused => {
                in_use("a dead socket in a folder that cannot be locked")
            }
            _ => in_use(&format!("a socket that cannot be asked ({error})")),
        },
    }
}

/// Whether somebody listens: connects, and hangs up at once.
fn probe(address: &SockAddr) -> io::Result<()> {
    let socket = uds::new_socket()?;
    uninterrupted(|| socket.connect(address))
}

fn describe(file_type: FileType) -> &'static str {
    if file_type.is_symlink() {
        "a symbolic link"
    } else if file_type.is_dir() {
        "a folder"
    } else if file_type.is_file() {
        "a regular file"
    } else {
        "a special file"
    }
}

fn refusal(kind: io::ErrorKind, path: &Path, what: &str) -> io::Error {
    io::Error::new(
        kind,
        format!("{what} lies at {}; it was left alone", path.display()),
    )
}

#[cfg(test)]
mod tests;
