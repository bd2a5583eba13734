//! Addresses becoming targets, with planted lookups.

use super::*;
use crate::net::resolver::{Lookup, ResolverOptions};
use crate::net::testing::DEADLINE;
use crate::sync::{Arc, Mutex};
use std::sync::mpsc::{Receiver, channel};

mod kernel_facts;
mod shedding;

const TOKEN: Token = Token {
    slot: 1,
    generation: 2,
};

/// A transport whose lookups answer with two addresses, and the end at which its wakes arrive.
fn transport(waiting: usize) -> (MioTransport, Receiver<()>) {
    let (sender, wakes) = channel();
    let sender = Mutex::new(sender);
    let wake = Arc::new(move || {
        let _ = sender.lock().send(());
    });
    let lookup: Lookup = Arc::new(|host, port| match host {
        "good" => Ok(vec![address("10.0.0.1", port), address("10.0.0.2", port)]),
        _ => Err(io::Error::other("no such host")),
    });
    let options = ResolverOptions {
        waiting,
        ..ResolverOptions::default()
    };
    let resolver = Resolver::new(options, lookup, wake);
    let registry = mio::Poll::new().unwrap().registry().try_clone().unwrap();
    (
        MioTransport::new(registry, resolver, SocketOptions::default()),
        wakes,
    )
}

fn address(host: &str, port: u16) -> SocketAddr {
    SocketAddr::new(host.parse().unwrap(), port)
}

fn ready(resolution: Resolution<Target>) -> Target {
    match resolution {
        Resolution::Ready(mut targets) if targets.len() == 1 => targets.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn numbers_need_no_lookup() {
    let (mut transport, _wakes) = transport(0);
    for (host, ip) in [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("2001:DB8::7", "2001:db8::7"),
        ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ("::", "::"),
    ] {
        let resolution = transport.resolve(&Address::tcp_client(host, 80), TOKEN);
        assert_eq!(ready(resolution), Target::Tcp(address(ip, 80)), "{host}");
    }
    let zone = ready(transport.resolve(&Address::tcp_client("fe80::1%3", 80), TOKEN));
    assert_eq!(zone, Target::Tcp("[fe80::1%3]:80".parse().unwrap()));
    assert!(transport.take_resolved().is_empty());
}

#[test]
fn no_host_listens_everywhere_and_connects_nowhere() {
    let (mut transport, _wakes) = transport(0);
    let listen = ready(transport.resolve(&Address::tcp_server("", 80), TOKEN));
    assert_eq!(listen, Target::Tcp(address("0.0.0.0", 80)));
    let connect = transport.resolve(&Address::tcp_client("", 80), TOKEN);
    assert!(matches!(connect, Resolution::Failed(_)), "{connect:?}");
}

#[test]
fn socket_paths_need_no_lookup() {
    let (mut transport, _wakes) = transport(0);
    let target = ready(transport.resolve(&Address::uds_client("/run/s"), TOKEN));
    assert_eq!(target, Target::Uds(UdsName::File("/run/s".into())));
    let name = transport.resolve(&Address::uds_server("@name"), TOKEN);
    if cfg!(target_os = "linux") {
        assert_eq!(
            ready(name),
            Target::Uds(UdsName::Abstract(b"name".to_vec()))
        );
    } else {
        assert!(matches!(name, Resolution::Failed(_)), "{name:?}");
    }
}

#[test]
fn names_are_looked_up_for_both_roles() {
    let (mut transport, wakes) = transport(10);
    let asked = [
        Address::tcp_client("good", 80),
        Address::tcp_server("good", 80),
    ];
    for asked in &asked {
        assert!(matches!(
            transport.resolve(asked, TOKEN),
            Resolution::Pending
        ));
        wakes.recv_timeout(DEADLINE).expect("a wake");
        let (token, targets) = transport.take_resolved().remove(0);
        assert_eq!(token, TOKEN);
        let expected = ["10.0.0.1", "10.0.0.2"].map(|host| Target::Tcp(address(host, 80)));
        assert_eq!(targets.unwrap(), expected);
    }
    // Neither numbers nor a name to pass on as it is: the system shall say what it thinks of it.
    for host in ["bad", "1.2.3", "[::1", "::g", "1.2.3.4:5", "[good]"] {
        let asked = Address::tcp_client(host, 80);
        assert!(
            matches!(transport.resolve(&asked, TOKEN), Resolution::Pending),
            "{host}"
        );
        wakes.recv_timeout(DEADLINE).expect("a wake");
        assert!(transport.take_resolved().remove(0).1.is_err(), "{host}");
    }
}

#[test]
fn too_many_lookups_fail_with_a_reason() {
    let (mut transport, _wakes) = transport(0);
    match transport.resolve(&Address::tcp_client("good", 80), TOKEN) {
        Resolution::Failed(error) => assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded),
        other => panic!("{other:?}"),
    }
}
