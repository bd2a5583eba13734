//! What a process holds, to show that nothing is left behind: threads, descriptors, memory. Read
//! from Linux's `/proc`; on other systems every call is an error.

use std::{fs, io};

/// How much of a thread's name the kernel keeps.
const THREAD_NAME_LEN: usize = 15;

/// How many threads this process has.
///
/// # Errors
///
/// If `/proc` is not there.
pub fn thread_count() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/task")?.count())
}

/// How many threads of this process have a name that begins with `prefix`. The kernel keeps 15
/// bytes of a name, so no more of `prefix` is looked at.
///
/// # Errors
///
/// If `/proc` is not there.
pub fn threads_named(prefix: &str) -> io::Result<usize> {
    let prefix = prefix.as_bytes();
    let prefix = prefix.get(..THREAD_NAME_LEN).unwrap_or(prefix);
    let mut found = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        // A thread that ends meanwhile has no name to read any more.
        let name = fs::read(thread?.path().join("comm")).unwrap_or_default();
        found += usize::from(!name.is_empty() && name.starts_with(prefix));
    }
    Ok(found)
}

/// How many descriptors this process has open: sockets, files, pollers...
///
/// # Errors
///
/// If `/proc` is not there.
pub fn descriptor_count() -> io::Result<usize> {
    // One of them is the open folder itself.
    Ok(fs::read_dir("/proc/self/fd")?.count().saturating_sub(1))
}

/// How many bytes of memory the process `pid` has resident; `std::process::id()` for this one.
///
/// # Errors
///
/// `NotFound` if there is no such process or no `/proc`, `InvalidData` if it has no memory any
/// more.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes
        .map(|count| count * 1024)
        .ok_or(io::ErrorKind::InvalidData.into())
}
