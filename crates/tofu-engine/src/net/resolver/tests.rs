//! Lookups by planted functions: results, bounds, and threads that come and go.

use super::*;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

const DEADLINE: Duration = Duration::from_secs(20);

fn token(slot: u32) -> Token {
    Token {
        slot,
        generation: slot ^ 7,
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A resolver, and the end at which its wakes arrive.
fn resolver(options: ResolverOptions, lookup: Lookup) -> (Resolver, Receiver<()>) {
    let (sender, wakes) = channel();
    let sender = Mutex::new(sender);
    let wake = Arc::new(move || {
        let _ = sender.lock().send(());
    });
    (Resolver::new(options, lookup, wake), wakes)
}

/// A lookup that answers for its port once it is allowed to, and says when it begins.
struct Gate {
    lookup: Lookup,
    begun: Receiver<()>,
    allow: Sender<()>,
}

fn gate() -> Gate {
    let (begin, begun) = channel();
    let (allow, allowed) = channel();
    let (begin, allowed) = (Mutex::new(begin), Mutex::new(allowed));
    let lookup: Lookup = Arc::new(move |_, port| {
        let _ = begin.lock().send(());
        let allowed: &Mutex<Receiver<()>> = &allowed;
        let _ = allowed.lock().recv_timeout(DEADLINE);
        Ok(vec![address(port)])
    });
    Gate {
        lookup,
        begun,
        allow,
    }
}

fn echo() -> Lookup {
    Arc::new(|_, port| Ok(vec![address(port)]))
}

/// Collects results until there are `count`.
fn collect(resolver: &Resolver, wakes: &Receiver<()>, count: usize) -> Vec<LookupResult> {
    let mut results = Vec::new();
    while results.len() < count {
        wakes.recv_timeout(DEADLINE).expect("no result came");
        results.extend(resolver.take_results());
        resolver.check();
    }
    results
}

impl Resolver {
    /// What the fields of the state promise.
    fn check(&self) {
        let state = self.shared.state.lock();
        let options = &self.shared.options;
        assert!(state.jobs.len() + state.results.len() <= state.outstanding);
        assert!(state.outstanding <= options.waiting);
        assert!(state.idle <= state.threads);
        assert!(state.threads <= options.threads);
    }

    fn threads(&self) -> usize {
        self.shared.state.lock().threads
    }
}

#[test]
fn results_carry_their_tokens() {
    let (resolver, wakes) = resolver(ResolverOptions::default(), echo());
    assert!(resolver.take_results().is_empty());
    for slot in 0..20 {
        resolver
            .start("host", 100 + u16::try_from(slot).unwrap(), token(slot))
            .unwrap();
    }
    let mut slots = BTreeSet::new();
    for (of, result) in collect(&resolver, &wakes, 20) {
        assert_eq!(of, token(of.slot));
        assert_eq!(
            result.unwrap(),
            [address(100 + u16::try_from(of.slot).unwrap())]
        );
        assert!(slots.insert(of.slot), "answered twice");
    }
    assert!(resolver.take_results().is_empty());
}

#[test]
fn the_system_knows_numbers_and_refuses_nonsense() {
    let lookup = system_lookup();
    assert_eq!(lookup("127.0.0.1", 7).unwrap(), [address(7)]);
    assert!(lookup("no such host", 7).is_err());
}

#[test]
fn lookups_beyond_the_threads_wait_and_beyond_the_bound_are_refused() {
    let gate = gate();
    let options = ResolverOptions {
        threads: 3,
        waiting: 5,
        ..ResolverOptions::default()
    };
    let (resolver, wakes) = resolver(options, gate.lookup);
    for slot in 0..5 {
        resolver.start("host", 1, token(slot)).unwrap();
        resolver.check();
    }
    for _ in 0..3 {
        gate.begun
            .recv_timeout(DEADLINE)
            .expect("a lookup for each thread");
    }
    assert!(gate.begun.try_recv().is_err(), "more lookups than threads");
    let error = resolver.start("host", 1, token(5)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
    assert!(error.to_string().contains("5 name lookups"), "{error}");

    for _ in 0..5 {
        gate.allow.send(()).unwrap();
    }
    for _ in 0..5 {
        wakes
            .recv_timeout(DEADLINE)
            .expect("a wake for each result");
    }
    let error = resolver.start("host", 1, token(5)).unwrap_err();
    assert_eq!(
        error.kind(),
        io::ErrorKind::QuotaExceeded,
        "results count until they are taken"
    );
    assert_eq!(resolver.take_results().len(), 5);
    resolver.start("host", 1, token(5)).unwrap();
    gate.allow.send(()).unwrap();
    assert_eq!(collect(&resolver, &wakes, 1)[0].0, token(5));
    assert_eq!(resolver.threads(), 3);
}

#[test]
fn no_address_is_an_error_and_too_many_are_cut() {
    let none: Lookup = Arc::new(|_, _| Ok(Vec::new()));
    let (empty, wakes) = resolver(ResolverOptions::default(), none);
    empty.start("host", 1, token(1)).unwrap();
    let error = collect(&empty, &wakes, 1).remove(0).1.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);

    let many: Lookup = Arc::new(|_, port| Ok(vec![address(port); 10_000]));
    let (endless, wakes) = resolver(ResolverOptions::default(), many);
    endless.start("host", 1, token(1)).unwrap();
    let addresses = collect(&endless, &wakes, 1).remove(0).1.unwrap();
    assert_eq!(addresses.len(), ADDRESSES_PER_NAME);
}

#[test]
fn a_panic_in_a_lookup_is_an_error_of_that_lookup() {
    let lookup: Lookup = Arc::new(|host, port| {
        assert_ne!(host, "bad", "a planted panic");
        Ok(vec![address(port)])
    });
    let options = ResolverOptions {
        threads: 1,
        ..ResolverOptions::default()
    };
    let (resolver, wakes) = resolver(options, lookup);
    resolver.start("bad", 1, token(1)).unwrap();
    resolver.start("good", 2, token(2)).unwrap();
    let results = collect(&resolver, &wakes, 2);
    assert!(results[0].1.is_err());
    assert_eq!(results[1].1.as_ref().unwrap(), &[address(2)]);
}

#[test]
fn a_lookup_that_waited_too_long_is_not_made() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let lookup: Lookup = Arc::new(move |_, port| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(vec![address(port)])
    });
    let options = ResolverOptions {
        give_up: Duration::ZERO,
        ..ResolverOptions::default()
    };
    let (resolver, wakes) = resolver(options, lookup);
    resolver.start("host", 1, token(1)).unwrap();
    let error = collect(&resolver, &wakes, 1).remove(0).1.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(made.load(Ordering::SeqCst), 0);
}

#[test]
fn idle_threads_end() {
    let options = ResolverOptions {
        idle: Duration::from_millis(1),
        ..ResolverOptions::default()
    };
    let (resolver, wakes) = resolver(options, echo());
    resolver.start("host", 1, token(1)).unwrap();
    collect(&resolver, &wakes, 1);
    let end = Instant::now() + DEADLINE;
    while resolver.threads() > 0 {
        assert!(Instant::now() < end, "the thread stays");
        thread::yield_now();
    }
}

#[test]
fn a_job_that_meets_a_thread_about_to_end_is_not_forgotten() {
    // With no patience at all, a thread is always about to end.
    for idle in [Duration::ZERO, Duration::from_micros(30)] {
        let options = ResolverOptions {
            threads: 1,
            idle,
            ..ResolverOptions::default()
        };
        let (resolver, wakes) = resolver(options, echo());
        for slot in 0..2000 {
            resolver.start("host", 1, token(slot)).unwrap();
            assert_eq!(collect(&resolver, &wakes, 1)[0].0, token(slot));
        }
    }
}

#[test]
fn nobody_waits_for_a_lookup_when_the_resolver_goes() {
    let gate = gate();
    let options = ResolverOptions {
        threads: 1,
        ..ResolverOptions::default()
    };
    let (resolver, wakes) = resolver(options, gate.lookup);
    resolver.start("slow", 1, token(1)).unwrap();
    resolver.start("never", 2, token(2)).unwrap();
    gate.begun
        .recv_timeout(DEADLINE)
        .expect("the first lookup begins");
    let shared = Arc::downgrade(&resolver.shared);
    drop(resolver);
    assert!(shared.upgrade().is_some(), "the lookup still goes on");
    gate.allow.send(()).unwrap();
    // The wake's sender goes with the thread; until then there is no end of the channel to see.
    let end = wakes.recv_timeout(DEADLINE);
    assert_eq!(
        end,
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected),
        "a late answer woke"
    );
    assert!(gate.begun.try_recv().is_err(), "the second lookup was made");
}

#[test]
fn idle_threads_end_at_once_when_the_resolver_goes() {
    let (resolver, wakes) = resolver(ResolverOptions::default(), echo());
    resolver.start("host", 1, token(1)).unwrap();
    collect(&resolver, &wakes, 1);
    let begun = Instant::now();
    drop(resolver);
    let end = wakes.recv_timeout(DEADLINE);
    assert_eq!(end, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    assert!(begun.elapsed() < ResolverOptions::default().idle);
}
