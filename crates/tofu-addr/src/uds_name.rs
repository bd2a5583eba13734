//! Names of Unix domain sockets: a path, or a name in Linux's abstract namespace. [`Endpoint`]
//! is made of it; what is legal is decided here and nowhere else. No file is looked at.
//!
//! [`Endpoint`]: crate::Endpoint

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::{AddressFault, MAX_UDS_PATH_LEN};

/// What an abstract name begins with in an address. It is not part of the name.
const ABSTRACT_MARK: u8 = b'@';

/// The name of a Unix domain socket.
///
/// Any name can be built; [`Address::format`](crate::Address::format) refuses one that no address
/// can carry. Two paths are equal as [`Path`] compares them, so `/a//b` equals `/a/b`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UdsName {
    /// A path in the file system; it need not be UTF-8. A relative one is relative to the working
    /// folder of the process that uses it.
    File(PathBuf),
    /// A name in Linux's abstract namespace, without the `@` that marks it in an address and
    /// without the NUL that marks it in the system call. No file stands for it, and it vanishes
    /// with its socket. Other systems have none and fail to listen on it or to connect to it.
    Abstract(Vec<u8>),
}

impl UdsName {
    /// Reads `@name` as abstract and everything else as a path.
    ///
    /// ```
    /// use tofu_addr::UdsName;
    /// assert_eq!(UdsName::from_path("@jobs"), UdsName::Abstract(b"jobs".to_vec()));
    /// assert_eq!(UdsName::from_path("/run/jobs"), UdsName::File("/run/jobs".into()));
    /// ```
    pub fn from_path(path: impl AsRef<Path>) -> UdsName {
        UdsName::from_bytes(path.as_ref().as_os_str().as_bytes())
    }

    /// The name as it stands in an address behind `uds|`: the path, or `@` and the abstract name.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            UdsName::File(path) => path.as_os_str().as_bytes().to_vec(),
            UdsName::Abstract(name) => [&[ABSTRACT_MARK], name.as_slice()].concat(),
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> UdsName {
        match bytes.split_first() {
            Some((&ABSTRACT_MARK, name)) => UdsName::Abstract(name.to_vec()),
            _ => UdsName::File(OsString::from_vec(bytes.to_vec()).into()),
        }
    }

    /// Checks that an address can carry the name and that the system takes it.
    pub(crate) fn check(&self) -> Result<(), AddressFault> {
        let (name, mark_len) = match self {
            UdsName::File(path) => (path.as_os_str().as_bytes(), 0),
            UdsName::Abstract(name) => (name.as_slice(), 1),
        };
        let len = mark_len + name.len();
        if name.is_empty() {
            return Err(AddressFault::EmptyPath);
        }
        if len > MAX_UDS_PATH_LEN {
            return Err(AddressFault::PathTooLong {
                len,
                limit: MAX_UDS_PATH_LEN,
            });
        }
        if mark_len == 0 && name[0] == ABSTRACT_MARK {
            return Err(AddressFault::AmbiguousPath);
        }
        let forbidden = name
            .iter()
            .any(|byte| matches!(byte, 0 | b'\r' | b'\n' | b'|'));
        if forbidden || matches!(name.last(), Some(b' ' | b'\t')) {
            return Err(AddressFault::PathCharacter);
        }
        Ok(())
    }
}

/// As in an address, with U+FFFD in place of what is not UTF-8.
impl fmt::Display for UdsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}
