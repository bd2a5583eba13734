//! What the engine builds on and only the kernel can keep: what is announced when, on either
//! transport, and what a write to a peer that is gone does to us.

use super::*;
use crate::net::testing::{Pair, World, any_port};
use tempfile::TempDir;

/// A connection over either transport, in its world. The folder is that of the socket file.
fn each_transport(test: impl Fn(&mut World, Pair)) {
    let folder = TempDir::new().unwrap();
    let file = Target::Uds(UdsName::File(folder.path().join("s")));
    for target in [any_port(), file] {
        let mut world = World::new();
        let mut listener = world.listen(&target);
        let pair = world.pair(&mut listener);
        test(&mut world, pair);
    }
}

#[test]
fn data_after_a_short_read_are_announced_anew() {
    if !MioTransport::SHORT_READ_MEANS_DRAINED {
        return;
    }
    each_transport(|world, mut pair| {
        let mut buffer = [0; 64];
        for _ in 0..3 {
            world.forget_readiness();
            pair.client.write_all(b"some").unwrap();
            world.wait_readable(pair.server_token);
            // Nobody asks for more to be told that there is none.
            assert_eq!(pair.server.read(&mut buffer).unwrap(), 4);
        }
    });
}

#[test]
fn the_end_is_announced_together_with_data_that_are_still_to_be_read() {
    each_transport(|world, mut pair| {
        world.forget_readiness();
        pair.client.write_all(&[7; 1000]).unwrap();
        pair.client.shutdown_write().unwrap();
        world.wait(pair.server_token, |announced| {
            announced.readable && announced.hung_up
        });
        let rest = world.read_to_end(&mut pair.server, pair.server_token);
        assert_eq!(rest.unwrap(), [7; 1000]);
    });
}

#[cfg(target_os = "linux")] // Others may throw it away.
#[test]
fn what_came_before_a_reset_is_still_read() {
    let mut world = World::new();
    let mut listener = world.listen(&any_port());
    let mut pair = world.pair(&mut listener);
    world.forget_readiness();
    pair.client.write_all(&[7; 1000]).unwrap();
    world.wait_readable(pair.server_token);
    pair.client.reset_on_close();
    drop(pair.client);
    world.wait(pair.server_token, |announced| announced.hung_up);
    let mut received = Vec::new();
    let end = world.read_until(&mut pair.server, pair.server_token, &mut received, 2000);
    assert_eq!(received, [7; 1000]);
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

/// A signal that is blocked is kept even where the process ignores it, as a test's does.
#[cfg(target_os = "linux")]
#[test]
fn a_write_to_a_peer_that_is_gone_raises_no_signal() {
    use nix::sys::signal::{SigSet, Signal};
    use nix::sys::signalfd::{SfdFlags, SignalFd};
    use std::os::fd::OwnedFd;

    let signals = SigSet::from(Signal::SIGPIPE);
    signals.thread_block().unwrap();
    let raised = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK).unwrap();
    let is_raised = || raised.read_signal().unwrap().is_some();

    let (broken, gone) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(gone);
    let mut broken = std::fs::File::from(OwnedFd::from(broken));
    broken.write(b"x").unwrap_err();
    assert!(is_raised(), "an ordinary write does");

    each_transport(|world, mut pair| {
        pair.client.reset_on_close();
        drop(pair.client);
        world.wait(pair.server_token, |announced| announced.hung_up);
        // The first may be told of the reset.
        let _ = pair.server.write(b"x");
        let slices = [IoSlice::new(b"x"), IoSlice::new(b"y")];
        for end in [pair.server.write(b"x"), pair.server.write_vectored(&slices)] {
            assert_eq!(end.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        }
        assert!(!is_raised());
    });
}
