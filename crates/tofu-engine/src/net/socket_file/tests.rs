//! What becomes of whatever lies at a socket's path, in folders of the tests' own.

use super::*;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Barrier;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("tofu").tempdir().unwrap()
}

/// A listening socket with the file that it made; the file goes first, as it must.
type Listening = (SocketFile, Socket);

fn listen(path: &Path) -> io::Result<Listening> {
    listen_with(path, &SocketOptions::default())
}

fn listen_with(path: &Path, options: &SocketOptions) -> io::Result<Listening> {
    let socket = uds::new_socket()?;
    let file = SocketFile::listen(&socket, &SockAddr::unix(path)?, path, options)?;
    Ok((file, socket))
}

fn failure(path: &Path) -> (io::ErrorKind, String) {
    let error = listen(path).map(drop).unwrap_err();
    (error.kind(), error.to_string())
}

fn dead_socket(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    assert!(UnixStream::connect(path).is_err());
}

#[test]
fn only_the_owner_may_connect_unless_told_otherwise() {
    let folder = folder();
    for mode in [0o600, 0o660, 0o666, 0o777] {
        let path = folder.path().join(format!("{mode:o}"));
        let options = SocketOptions {
            uds_mode: mode,
            ..SocketOptions::default()
        };
        let _listening = listen_with(&path, &options).unwrap();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert_eq!(
            metadata.mode() & 0o777,
            u32::from(mode),
            "whatever the mask says"
        );
    }
}

#[test]
fn the_file_goes_with_its_listener() {
    let folder = folder();
    let path = folder.path().join("s");
    for _ in 0..3 {
        let listening = listen(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(listening);
        assert!(!path.exists());
    }
}

#[test]
fn a_failed_listen_leaves_no_file() {
    let folder = folder();
    let path = folder.path().join("s");
    let socket = uds::new_socket().unwrap();
    let other = folder.path().join("other");
    socket.bind(&SockAddr::unix(&other).unwrap()).unwrap();
    let address = SockAddr::unix(&path).unwrap();
    // It is bound already.
    SocketFile::listen(&socket, &address, &path, &SocketOptions::default()).unwrap_err();
    assert!(!path.exists());
    assert!(other.exists());
}

#[test]
fn what_is_no_socket_is_refused_and_left_alone() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let live = listen(&at("live")).unwrap();
    fs::write(at("file"), "precious").unwrap();
    fs::create_dir(at("folder")).unwrap();
    symlink(at("live"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
    for (name, what) in [
        ("file", "a regular file"),
        ("folder", "a folder"),
        ("link", "a symbolic link"),
        ("dangling", "a symbolic link"),
        ("fifo", "a special file"),
    ] {
        let before = fs::symlink_metadata(at(name)).unwrap().ino();
        let (kind, text) = failure(&at(name));
        assert_eq!(kind, io::ErrorKind::AlreadyExists, "{name}");
        assert!(text.contains(what) && text.contains(name), "{text}");
        assert_eq!(fs::symlink_metadata(at(name)).unwrap().ino(), before);
    }
    assert_eq!(fs::read(at("file")).unwrap(), b"precious");
    assert!(!at("nowhere").exists());
    UnixStream::connect(at("live")).unwrap();
    drop(live);
}

#[test]
fn a_live_socket_is_in_use() {
    let folder = folder();
    let path = folder.path().join("s");
    let live = listen(&path).unwrap();
    let (kind, text) = failure(&path);
    assert_eq!(kind, io::ErrorKind::AddrInUse);
    assert!(text.contains("somebody listens"), "{text}");
    UnixStream::connect(&path).unwrap();
    drop(live);
    assert!(
        !path.exists(),
        "the one that was refused has not made the file its own"
    );
}

#[cfg(target_os = "linux")] // Others refuse connections beyond the backlog: it looks dead there.
#[test]
fn a_live_socket_with_a_full_backlog_is_in_use() {
    let folder = folder();
    let path = folder.path().join("s");
    let options = SocketOptions {
        backlog: 0,
        ..SocketOptions::default()
    };
    let _live = listen_with(&path, &options).unwrap();
    let address = SockAddr::unix(&path).unwrap();
    let mut clients = Vec::new();
    while let Ok(client) = uds::new_socket().and_then(|socket| {
        socket.connect(&address)?;
        Ok(socket)
    }) {
        clients.push(client);
        assert!(clients.len() < 100, "the backlog never fills");
    }
    assert_eq!(failure(&path).0, io::ErrorKind::AddrInUse);
}

#[test]
fn a_live_socket_of_another_type_is_in_use() {
    let folder = folder();
    let path = folder.path().join("s");
    let _live = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    assert_eq!(failure(&path).0, io::ErrorKind::AddrInUse);
    assert!(path.exists());
}

#[test]
fn a_dead_socket_makes_room() {
    let folder = folder();
    let path = folder.path().join("s");
    dead_socket(&path);
    let _listening = listen(&path).unwrap();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn without_the_lock_a_dead_socket_stays_and_a_free_path_is_taken() {
    let folder = folder();
    let path = folder.path().join("s");
    dead_socket(&path);
    let held = Flock::lock(File::open(folder.path()).unwrap(), FlockArg::LockExclusive).unwrap();
    let (kind, text) = failure(&path);
    assert_eq!(kind, io::ErrorKind::AddrInUse);
    assert!(text.contains("dead socket"), "{text}");
    listen(&folder.path().join("free")).unwrap();
    drop(held);
    listen(&path).unwrap();
}

#[test]
fn what_took_our_place_is_not_removed() {
    let folder = folder();
    let path = folder.path().join("s");
    let listening = listen(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let successor = listen(&path).unwrap();
    drop(listening);
    UnixStream::connect(&path).unwrap();
    drop(successor);
    assert!(!path.exists());

    let listening = listen(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    drop(listening);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_folder_that_is_none_is_an_error_and_no_hang() {
    let folder = folder();
    assert_eq!(
        failure(&folder.path().join("none/s")).0,
        io::ErrorKind::NotFound
    );
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    assert_eq!(failure(&fifo.join("s")).0, io::ErrorKind::NotADirectory);
}

#[test]
fn of_many_that_want_a_dead_path_one_gets_it() {
    const CONTENDERS: usize = 8;
    let folder = folder();
    let path = folder.path().join("s");
    for round in 0..50 {
        dead_socket(&path);
        let start = Barrier::new(CONTENDERS);
        let results: Vec<io::Result<Listening>> = thread::scope(|scope| {
            let contend = || {
                start.wait();
                listen(&path)
            };
            let threads: Vec<_> = (0..CONTENDERS).map(|_| scope.spawn(contend)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let winners = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(winners, 1, "round {round}: {results:?}");
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            assert_eq!(
                error.kind(),
                io::ErrorKind::AddrInUse,
                "round {round}: {error}"
            );
        }
        UnixStream::connect(&path).unwrap();
    }
}
