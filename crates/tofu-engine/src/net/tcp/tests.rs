//! TCP over the loopback interface, through the transport as the core uses it.

use super::*;
use crate::core::transport::{Stream, Transport};
use crate::net::socket::Keepalive;
use crate::net::testing::{World, any_port, failure, target_of};
use crate::net::transport::{MioListener, MioStream, Target};
use std::io::{IoSlice, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};

fn inner(stream: &MioStream) -> SockRef<'_> {
    match stream {
        MioStream::Tcp(stream) => SockRef::from(&stream.socket),
        MioStream::Uds(_) => panic!("not TCP"),
    }
}

fn inner_listener(listener: &MioListener) -> SockRef<'_> {
    match listener {
        MioListener::Tcp(listener) => SockRef::from(&listener.socket),
        MioListener::Uds(_) => panic!("not TCP"),
    }
}

/// A listening port whose backlog nobody takes from.
#[cfg(target_os = "linux")]
fn stuck_listener() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

fn ipv6_is_missing() -> bool {
    let missing = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err();
    if missing {
        eprintln!("skipped: this machine has no IPv6");
    }
    missing
}

#[test]
fn both_ends_talk_and_know_each_other() {
    let mut world = World::new();
    let mut listener = world.listen(&any_port());
    let Endpoint::Tcp { host, port } = listener.2.clone() else {
        panic!("{:?}", listener.2)
    };
    assert_eq!(host, "127.0.0.1");
    assert_ne!(port, 0, "the port that the system chose is reported");

    let mut pair = world.pair(&mut listener);
    assert_eq!(pair.client.peer(), PeerInfo::new(listener.2.clone(), None));
    let client = inner(&pair.client)
        .local_addr()
        .unwrap()
        .as_socket()
        .unwrap();
    assert_eq!(pair.server.peer(), PeerInfo::new(endpoint(client), None));

    assert_eq!(pair.client.write(b"ping").unwrap(), 4);
    let mut received = Vec::new();
    world
        .read_until(&mut pair.server, pair.server_token, &mut received, 4)
        .unwrap();
    assert_eq!(received, b"ping");
    let slices = [IoSlice::new(b"po"), IoSlice::new(b""), IoSlice::new(b"ng")];
    assert_eq!(pair.server.write_vectored(&slices).unwrap(), 4);
    received.clear();
    world
        .read_until(&mut pair.client, pair.client_token, &mut received, 4)
        .unwrap();
    assert_eq!(received, b"pong");
}

#[test]
fn both_ends_have_the_options() {
    let keepalive = Keepalive {
        idle: Duration::from_secs(41),
        interval: Duration::from_secs(7),
        probes: 5,
    };
    let mut world = World::with(SocketOptions {
        keepalive: Some(keepalive),
        user_timeout: Some(Duration::from_secs(33)),
        ..SocketOptions::default()
    });
    let mut listener = world.listen(&any_port());
    let pair = world.pair(&mut listener);
    for stream in [&pair.client, &pair.server] {
        let socket = inner(stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), keepalive.idle);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), keepalive.interval);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), keepalive.probes);
        #[cfg(target_os = "linux")]
        assert_eq!(
            socket.tcp_user_timeout().unwrap(),
            Some(Duration::from_secs(33))
        );
        assert!(socket.nonblocking().unwrap());
        assert_eq!(socket.linger().unwrap(), None);
    }
}

#[test]
fn keepalive_can_be_off() {
    let mut world = World::with(SocketOptions {
        keepalive: None,
        user_timeout: None,
        ..SocketOptions::default()
    });
    let mut listener = world.listen(&any_port());
    let pair = world.pair(&mut listener);
    assert!(!inner(&pair.client).keepalive().unwrap());
    assert!(!inner(&pair.server).keepalive().unwrap());
}

#[test]
fn nothing_to_do_is_would_block() {
    let mut world = World::new();
    let mut listener = world.listen(&any_port());
    let (kind, _) = failure(world.transport.accept(&mut listener.0));
    assert_eq!(kind, io::ErrorKind::WouldBlock);
    let mut pair = world.pair(&mut listener);
    let (kind, _) = failure(pair.server.read(&mut [0; 8]));
    assert_eq!(kind, io::ErrorKind::WouldBlock);
}

#[test]
fn a_closed_port_refuses() {
    let mut world = World::new();
    let (listener, _, endpoint) = world.listen(&any_port());
    drop(listener);
    let token = world.token();
    let result = world
        .transport
        .connect(&target_of(&endpoint), token)
        .and_then(|mut stream| {
            world.wait_writable(token);
            stream.finish_connect()
        });
    assert_eq!(failure(result).0, io::ErrorKind::ConnectionRefused);
}

#[cfg(target_os = "linux")] // Others refuse what does not fit into the backlog.
#[test]
fn an_attempt_under_way_is_not_finished() {
    let mut world = World::new();
    let (_stuck, address) = stuck_listener();
    let mut streams = Vec::new();
    let under_way = (0..64).any(|_| {
        let token = world.token();
        let mut stream = world
            .transport
            .connect(&Target::Tcp(address), token)
            .unwrap();
        let connected = stream.finish_connect().unwrap();
        streams.push(stream);
        !connected
    });
    assert!(
        under_way,
        "the kernel took 64 connections into a backlog of one"
    );
}

#[test]
fn a_socket_that_meets_itself_is_refused() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    let own = socket.local_addr().unwrap();
    socket.connect(&own).unwrap();
    socket.set_nonblocking(true).unwrap();
    let peer = own.as_socket().unwrap();
    let stream = TcpStream {
        socket: mio::net::TcpStream::from_std(socket.into()),
        peer,
    };
    assert_eq!(
        failure(stream.finish_connect()).0,
        io::ErrorKind::ConnectionRefused
    );
}

#[test]
fn a_held_port_is_in_use() {
    let mut world = World::new();
    let (listener, _, endpoint) = world.listen(&any_port());
    assert!(inner_listener(&listener).reuse_address().unwrap());
    #[cfg(target_os = "linux")]
    assert!(!inner_listener(&listener).reuse_port().unwrap());
    let token = world.token();
    let (kind, _) = failure(world.transport.listen(&target_of(&endpoint), token));
    assert_eq!(kind, io::ErrorKind::AddrInUse);
}

#[test]
fn a_port_is_free_again_at_once_although_old_connections_linger() {
    let mut world = World::new();
    let mut listener = world.listen(&any_port());
    let mut pair = world.pair(&mut listener);
    // The server closes first: its end stays in TIME_WAIT.
    drop(pair.server);
    assert_eq!(
        world
            .read_to_end(&mut pair.client, pair.client_token)
            .unwrap(),
        b""
    );
    drop(pair.client);
    let endpoint = listener.2.clone();
    drop(listener);
    let (_again, _, same) = world.listen(&target_of(&endpoint));
    assert_eq!(same, endpoint);
}

#[test]
fn the_wildcard_of_ipv6_takes_ipv4_as_well() {
    if ipv6_is_missing() {
        return;
    }
    let mut world = World::new();
    let mut listener = world.listen(&Target::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))));
    let Endpoint::Tcp { host, port } = listener.2.clone() else {
        panic!("{:?}", listener.2)
    };
    assert_eq!(host, "::");
    for host in ["127.0.0.1", "::1"] {
        let address = SocketAddr::new(host.parse().unwrap(), port);
        let token = world.token();
        let _client = world
            .transport
            .connect(&Target::Tcp(address), token)
            .unwrap();
        let token = world.token();
        let server = world.accept(&mut listener, token);
        let Endpoint::Tcp { host: peer, .. } = server.peer().endpoint else {
            panic!("not TCP")
        };
        assert_eq!(peer, host, "an IPv4 client is named by its IPv4 address");
    }
}

#[test]
fn a_specific_address_of_ipv6_is_itself() {
    if ipv6_is_missing() {
        return;
    }
    let mut world = World::new();
    let mut listener = world.listen(&Target::Tcp(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))));
    let pair = world.pair(&mut listener);
    assert_eq!(pair.client.peer().endpoint, listener.2);
}

#[test]
fn a_zone_is_part_of_the_name() {
    let address = SocketAddrV6::new("fe80::1".parse().unwrap(), 7, 0, 3);
    let Endpoint::Tcp { host, port } = endpoint(address.into()) else {
        panic!("not TCP")
    };
    assert_eq!((host.as_str(), port), ("fe80::1%3", 7));
}

#[test]
fn what_was_written_before_shutdown_arrives_and_the_other_direction_lives_on() {
    let mut world = World::new();
    let mut listener = world.listen(&any_port());
    let mut pair = world.pair(&mut listener);
    pair.client.write_all(b"last words").unwrap();
    pair.client.shutdown_write().unwrap();
    let received = world
        .read_to_end(&mut pair.server, pair.server_token)
        .unwrap();
    assert_eq!(received, b"last words");
    pair.server.write_all(b"heard").unwrap();
    pair.server.shutdown_write().unwrap();
    let received = world
        .read_to_end(&mut pair.client, pair.client_token)
        .unwrap();
    assert_eq!(received, b"heard");
}

#[test]
fn a_reset_is_seen_as_one_and_the_peer_is_still_known() {
    let mut world = World::new();
    let mut listener = world.listen(&any_port());
    let mut pair = world.pair(&mut listener);
    let client = inner(&pair.client)
        .local_addr()
        .unwrap()
        .as_socket()
        .unwrap();
    pair.client.reset_on_close();
    drop(pair.client);
    let result = world.read_to_end(&mut pair.server, pair.server_token);
    assert_eq!(failure(result).0, io::ErrorKind::ConnectionReset);
    assert_eq!(pair.server.peer().endpoint, endpoint(client));
    let (kind, _) = failure(pair.server.write(b"x"));
    assert_eq!(kind, io::ErrorKind::BrokenPipe);
}

#[test]
fn a_full_buffer_blocks_and_the_edge_comes_when_there_is_room() {
    let mut world = World::with(SocketOptions {
        send_buffer: Some(1),
        receive_buffer: Some(1),
        ..SocketOptions::default()
    });
    let mut listener = world.listen(&any_port());
    let mut pair = world.pair(&mut listener);
    let pattern: Vec<u8> = (0..=250).collect();
    let all = pattern.repeat(4000);
    let mut written = 0;
    let mut blocked = 0;
    let mut received = Vec::new();
    while written < all.len() {
        world.forget_readiness();
        match pair.client.write(&all[written..]) {
            Ok(count) => written += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                blocked += 1;
                world
                    .read_until(&mut pair.server, pair.server_token, &mut received, written)
                    .unwrap();
                world.wait_writable(pair.client_token);
            }
        }
    }
    assert!(
        blocked > 1,
        "a million bytes went into the smallest buffers {blocked} times"
    );
    drop(pair.client);
    received.extend(
        world
            .read_to_end(&mut pair.server, pair.server_token)
            .unwrap(),
    );
    assert!(received == all);
}
