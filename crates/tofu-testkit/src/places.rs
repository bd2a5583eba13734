//! Places to listen at that nobody else uses: TCP ports and paths for Unix domain sockets. Tests
//! name no fixed port or path; they ask here.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, io, path, process};

use tofu_addr::MAX_UDS_PATH_LEN;

/// Below the ports that Linux, the BSDs and macOS give to outgoing connections, so that none of
/// those can take a port between here and its use.
const PORTS: Range<u32> = 20_000..32_768;

/// Counts what this process was given, so that no two of its tests get the same.
static PORTS_GIVEN: AtomicU32 = AtomicU32::new(0);

/// A TCP port on which nobody listens, on any address of this host.
///
/// The port is not held: another program could take it before the test does. Within a process no
/// port is given twice until all of 12768 were.
///
/// # Errors
///
/// `AddrInUse` if there is none, and whatever else binding a socket fails with.
pub fn free_tcp_port() -> io::Result<u16> {
    // Spread by process id, so that processes side by side do not look at the same ports.
    let start = process::id().wrapping_mul(7919);
    for _ in PORTS {
        let step = start.wrapping_add(PORTS_GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + step % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).map_err(io::Error::other)?;
        match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
            Ok(_) => return Ok(port),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// A path for a Unix domain socket: absolute, unique, short enough for a socket address, and with
/// nothing at it.
///
/// It lies in a folder of its own, which only this user may enter and which is removed on drop
/// with all that is in it.
///
/// ```
/// use std::os::unix::net::UnixListener;
/// use tofu_testkit::TempUdsPath;
///
/// let path = TempUdsPath::new()?;
/// let listener = UnixListener::bind(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TempUdsPath {
    folder: PathBuf,
    path: PathBuf,
}

impl TempUdsPath {
    /// Makes the folder and picks the path in it.
    ///
    /// # Errors
    ///
    /// Whatever making a folder in the system's temporary folder fails with; `/tmp` is used where
    /// that one's path is too long.
    pub fn new() -> io::Result<TempUdsPath> {
        let folder = make_folder_in(&path::absolute(env::temp_dir())?)?;
        Ok(TempUdsPath {
            path: folder.join("socket"),
            folder,
        })
    }

    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

/// Makes a folder with a name that nobody has; `mkdir` decides who came first.
fn make_folder_in(parent: &Path) -> io::Result<PathBuf> {
    loop {
        let unique = RandomState::new().build_hasher().finish();
        let name = format!("tofu-{unique:016x}");
        let mut folder = parent.join(&name);
        // Room for the socket itself and for a file that a program may keep beside it.
        if folder.as_os_str().len() + "/socket.lock".len() > MAX_UDS_PATH_LEN {
            folder = Path::new("/tmp").join(&name);
        }
        match private_folder(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => return outcome.map(|()| folder),
        }
    }
}

fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(folder)
}

impl Drop for TempUdsPath {
    fn drop(&mut self) {
        // A test may have removed it, and a drop has nobody to tell.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Deref for TempUdsPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for TempUdsPath {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}
