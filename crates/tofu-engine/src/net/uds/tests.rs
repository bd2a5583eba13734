//! Unix domain sockets through the transport as the core uses it.

use super::*;
use crate::core::transport::{Stream, Transport};
use crate::net::testing::{World, failure};
use crate::net::transport::Target;
use crate::{IdleStrategy, Options};
use std::io::{Read, Write};
use std::path::PathBuf;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("tofu").tempdir().unwrap()
}

fn file(path: impl Into<PathBuf>) -> Target {
    Target::Uds(UdsName::File(path.into()))
}

/// An abstract name that nobody else has.
#[cfg(target_os = "linux")]
fn unique_name() -> (TempDir, Vec<u8>) {
    let folder = folder();
    let name = folder.path().as_os_str().as_bytes().to_vec();
    (folder, name)
}

#[test]
fn both_ends_talk_and_know_each_other() {
    let mut world = World::new();
    let folder = folder();
    let path = folder.path().join("s");
    let mut listener = world.listen(&file(&path));
    assert_eq!(listener.2, Endpoint::Uds(UdsName::File(path)));
    let mut pair = world.pair(&mut listener);
    for stream in [&pair.client, &pair.server] {
        assert_eq!(
            stream.peer().endpoint,
            listener.2,
            "a client has no name of its own"
        );
    }
    pair.client.write_all(b"ping").unwrap();
    pair.client.shutdown_write().unwrap();
    let received = world
        .read_to_end(&mut pair.server, pair.server_token)
        .unwrap();
    assert_eq!(received, b"ping");
    pair.server.write_all(b"pong").unwrap();
    drop(pair.server);
    let received = world
        .read_to_end(&mut pair.client, pair.client_token)
        .unwrap();
    assert_eq!(received, b"pong");
}

#[test]
fn nothing_to_do_is_would_block() {
    let mut world = World::new();
    let folder = folder();
    let mut listener = world.listen(&file(folder.path().join("s")));
    let (kind, _) = failure(world.transport.accept(&mut listener.0));
    assert_eq!(kind, io::ErrorKind::WouldBlock);
    let mut pair = world.pair(&mut listener);
    assert_eq!(
        failure(pair.server.read(&mut [0; 8])).0,
        io::ErrorKind::WouldBlock
    );
    assert_eq!(
        failure(pair.client.read(&mut [0; 8])).0,
        io::ErrorKind::WouldBlock
    );
}

/// The peer reads what the client sends. Whether the client hears of it.
#[cfg(target_os = "linux")]
fn hears_of_reading(world: &mut World, pair: &mut crate::net::testing::Pair) -> bool {
    world.forget_readiness();
    pair.client.write_all(b"12345678").unwrap();
    pair.server.read_exact(&mut [0; 8]).unwrap();
    world.has_news_of(pair.client_token)
}

/// The client hears of what the peer reads, in vain, until it hears of it no longer.
#[cfg(target_os = "linux")]
fn grow_quiet(world: &mut World, pair: &mut crate::net::testing::Pair) {
    for _ in 0..=4 {
        assert!(hears_of_reading(world, pair));
        pair.client.room_was_known();
    }
    assert!(!hears_of_reading(world, pair));
}

#[cfg(target_os = "linux")]
#[test]
fn news_of_room_ends_when_it_is_in_vain_and_begins_again_when_a_write_blocks() {
    let mut world = World::new();
    let folder = folder();
    let mut listener = world.listen(&file(folder.path().join("s")));
    let mut pair = world.pair(&mut listener);
    grow_quiet(&mut world, &mut pair);
    pair.server.write_all(b"answer").unwrap();
    world.wait_readable(pair.client_token);
    assert_eq!(pair.client.read(&mut [0; 8]).unwrap(), 6);
    let mut sent = 0;
    let blocked = loop {
        match pair.client.write(&[7; 4096]) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
    };
    assert_eq!(blocked.kind(), io::ErrorKind::WouldBlock);
    world.forget_readiness();
    let mut taken = Vec::new();
    world
        .read_until(&mut pair.server, pair.server_token, &mut taken, sent)
        .unwrap();
    assert_eq!(taken.len(), sent);
    world.wait_writable(pair.client_token);
    assert!(hears_of_reading(&mut world, &mut pair), "as at first");
}

/// Whether news of room is tried again after many reads.
#[cfg(target_os = "linux")]
fn tries_again(idle: IdleStrategy) -> bool {
    let mut world = World::with(SocketOptions::from(&Options::default().idle(idle)));
    let folder = folder();
    let mut listener = world.listen(&file(folder.path().join("s")));
    let mut pair = world.pair(&mut listener);
    grow_quiet(&mut world, &mut pair);
    for _ in 0..256 {
        pair.server.write_all(b"answer").unwrap();
        world.wait_readable(pair.client_token);
        assert_eq!(pair.client.read(&mut [0; 8]).unwrap(), 6);
    }
    hears_of_reading(&mut world, &mut pair)
}

#[cfg(target_os = "linux")]
#[test]
fn news_of_room_is_tried_again_by_a_thread_that_sleeps_at_once() {
    assert!(tries_again(IdleStrategy::Off));
    assert!(!tries_again(IdleStrategy::Adaptive));
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_says_who_the_peer_is() {
    let mut world = World::new();
    let folder = folder();
    let mut listener = world.listen(&file(folder.path().join("s")));
    let pair = world.pair(&mut listener);
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let process = i32::try_from(std::process::id()).unwrap();
    let expected = Credentials::new(user.as_raw(), group.as_raw(), Some(process));
    for stream in [&pair.client, &pair.server] {
        assert_eq!(stream.peer().credentials, Some(expected));
    }
}

#[test]
fn data_before_an_abrupt_end_are_still_read() {
    let mut world = World::new();
    let folder = folder();
    let mut listener = world.listen(&file(folder.path().join("s")));
    let mut pair = world.pair(&mut listener);
    pair.server.write_all(b"never read").unwrap();
    pair.client.write_all(b"the tail").unwrap();
    pair.client.reset_on_close();
    drop(pair.client);
    let mut received = Vec::new();
    let end = world.read_until(
        &mut pair.server,
        pair.server_token,
        &mut received,
        usize::MAX,
    );
    assert_eq!(received, b"the tail");
    // Closing with unread input is told to the peer, but only behind the data.
    assert!(end.is_ok() || end.unwrap_err().kind() == io::ErrorKind::ConnectionReset);
    assert_eq!(
        failure(pair.server.write(b"x")).0,
        io::ErrorKind::BrokenPipe
    );
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_names_need_no_file() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};

    let mut world = World::new();
    let (folder, name) = unique_name();
    let target = Target::Uds(UdsName::Abstract(name.clone()));
    let mut listener = world.listen(&target);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let pair = world.pair(&mut listener);
    assert_eq!(pair.client.peer().endpoint, listener.2);
    assert_eq!(pair.server.peer().endpoint, listener.2);

    // The name is exactly those bytes, with no NUL behind.
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _other = UnixStream::connect_addr(&address).unwrap();

    let token = world.token();
    let (kind, _) = failure(world.transport.listen(&target, token));
    assert_eq!(kind, io::ErrorKind::AddrInUse);
    drop((listener, pair));
    assert_eq!(
        failure(world.transport.connect(&target, token)).0,
        io::ErrorKind::ConnectionRefused
    );
    world.listen(&target);
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_with_a_name_is_known_by_it() {
    use rustix::net::SocketAddrUnix;

    let mut world = World::new();
    let (folder, name) = unique_name();
    let path = folder.path().join("client");
    // As long as the system allows: it fills the address, with no room for a NUL.
    let mut longest = folder.path().join("c").into_os_string();
    longest.push("x".repeat(108 - longest.len()));
    let cases = [
        (SocketAddrUnix::new(&path).unwrap(), UdsName::File(path)),
        (
            SocketAddrUnix::new(&longest).unwrap(),
            UdsName::File(longest.into()),
        ),
        (
            SocketAddrUnix::new_abstract_name(&name).unwrap(),
            UdsName::Abstract(name),
        ),
    ];
    let server_path = folder.path().join("server");
    let mut listener = world.listen(&file(&server_path));
    for (address, name) in cases {
        let client = new_socket().unwrap();
        rustix::net::bind(&client, &address).unwrap();
        client
            .connect(&SockAddr::unix(&server_path).unwrap())
            .unwrap();
        let token = world.token();
        let server = world.accept(&mut listener, token);
        assert_eq!(server.peer().endpoint, Endpoint::Uds(name));
    }
}

#[cfg(target_os = "linux")] // Others refuse instead.
#[test]
fn a_full_backlog_is_would_block() {
    let mut world = World::with(SocketOptions {
        backlog: 1,
        ..SocketOptions::default()
    });
    let folder = folder();
    let target = file(folder.path().join("s"));
    let mut listener = world.listen(&target);
    let mut clients = Vec::new();
    let error = loop {
        let token = world.token();
        match world.transport.connect(&target, token) {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
        assert!(
            clients.len() < 100,
            "the kernel took 100 connections into a backlog of one"
        );
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    let token = world.token();
    let _server = world.accept(&mut listener, token);
    let token = world.token();
    world.transport.connect(&target, token).unwrap();
}

#[test]
fn nobody_there_is_told_from_nothing_there() {
    let mut world = World::new();
    let folder = folder();
    let token = world.token();
    let nothing = world
        .transport
        .connect(&file(folder.path().join("none")), token);
    assert_eq!(failure(nothing).0, io::ErrorKind::NotFound);
    let dead = folder.path().join("dead");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let nobody = world.transport.connect(&file(dead), token);
    assert_eq!(failure(nobody).0, io::ErrorKind::ConnectionRefused);
}

#[test]
fn names_that_the_system_would_misread_are_refused() {
    let mut world = World::new();
    let token = world.token();
    let bad = [
        UdsName::File("".into()),
        UdsName::File("/tmp/a\0b".into()),
        UdsName::File("\0abstract".into()),
        UdsName::File("x".repeat(200).into()),
        UdsName::Abstract(Vec::new()),
        UdsName::Abstract(vec![b'x'; 200]),
    ];
    for name in bad {
        let target = Target::Uds(name);
        for kind in [
            failure(world.transport.connect(&target, token)).0,
            failure(world.transport.listen(&target, token)).0,
        ] {
            let expected = [io::ErrorKind::InvalidInput, io::ErrorKind::Unsupported];
            assert!(expected.contains(&kind), "{target:?}: {kind:?}");
        }
    }
}
