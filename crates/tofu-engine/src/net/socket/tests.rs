//! The system calls and options that both transports share.

use super::*;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

#[test]
fn interrupted_calls_are_repeated() {
    let mut left = 3;
    let result = uninterrupted(|| {
        left -= 1;
        if left > 0 {
            Err(io::ErrorKind::Interrupted.into())
        } else {
            Ok(left)
        }
    });
    assert_eq!(result.unwrap(), 0);
    let result: io::Result<()> = uninterrupted(|| Err(io::ErrorKind::WouldBlock.into()));
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_vanished_connection_is_told_from_a_listener_in_trouble() {
    let classify = |code: Errno| classify_accept_error(code.into()).kind();
    for code in [
        Errno::ECONNABORTED,
        Errno::EPROTO,
        Errno::EHOSTUNREACH,
        Errno::ENETDOWN,
    ] {
        assert_eq!(classify(code), io::ErrorKind::ConnectionAborted, "{code}");
    }
    assert_eq!(classify(Errno::EWOULDBLOCK), io::ErrorKind::WouldBlock);
    for code in [
        Errno::EMFILE,
        Errno::ENFILE,
        Errno::ENOBUFS,
        Errno::ENOMEM,
        Errno::EINVAL,
    ] {
        assert_ne!(classify(code), io::ErrorKind::ConnectionAborted, "{code}");
        let error = classify_accept_error(code.into());
        assert_eq!(error.raw_os_error(), Some(code as i32), "{code}");
    }
}

#[test]
fn whole_seconds_stay_in_what_kernels_take() {
    let seconds = |time| whole_seconds(time).as_secs();
    assert_eq!(seconds(Duration::ZERO), 1);
    assert_eq!(seconds(Duration::from_millis(1)), 1);
    assert_eq!(seconds(Duration::from_millis(1001)), 2);
    assert_eq!(seconds(Duration::from_secs(30)), 30);
    assert_eq!(seconds(Duration::MAX), 32_767);
}

#[test]
fn extreme_options_are_no_error() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for (time, probes) in [(Duration::ZERO, 0), (Duration::MAX, u32::MAX)] {
        let options = SocketOptions {
            keepalive: Some(Keepalive {
                idle: time,
                interval: time,
                probes,
            }),
            user_timeout: Some(time),
            send_buffer: Some(1),
            receive_buffer: Some(1),
            ..SocketOptions::default()
        };
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        options.apply_to_tcp(&stream).unwrap();
        options.apply_buffers(&stream).unwrap();
    }
}

#[test]
fn more_slices_than_one_call_takes_are_cut_not_refused() {
    let (left, right) = std::os::unix::net::UnixStream::pair().unwrap();
    let slices = vec![IoSlice::new(b"x"); SLICES_PER_CALL + 500];
    assert_eq!(send_slices(&left, &slices).unwrap(), SLICES_PER_CALL);
    drop(left);
    let received = io::Read::bytes(right).count();
    assert_eq!(received, SLICES_PER_CALL);
}

#[test]
fn the_sockets_are_set_up_as_the_engine_is_told() {
    let seconds = Duration::from_secs;
    let options = Options::default()
        .keepalive_idle(seconds(41))
        .keepalive_interval(seconds(7))
        .keepalive_probes(5)
        .tcp_user_timeout(seconds(99))
        .uds_mode(0o660)
        .normalized();
    let sockets = SocketOptions::from(&options);
    let keepalive = sockets.keepalive.unwrap();
    assert_eq!(keepalive.idle, seconds(41));
    assert_eq!(keepalive.interval, seconds(7));
    assert_eq!(keepalive.probes, 5);
    assert_eq!(sockets.user_timeout, Some(seconds(99)));
    assert_eq!(sockets.uds_mode, 0o660);

    let off = Options::default()
        .keepalive_idle(Duration::MAX)
        .write_stall_timeout(Duration::MAX)
        .normalized();
    let sockets = SocketOptions::from(&off);
    assert!(sockets.keepalive.is_none());
    // A pause of any length is to be survived, so the kernel must not give up before.
    assert_eq!(sockets.user_timeout, None);
}
