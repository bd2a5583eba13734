//! A bad network between two networks of this process's own: a TUN device in each, and between them
//! a relay that loses, delays, reorders, alters and repeats packets.
//!
//! Called by the row that needs it. One side is the network of the calling thread, the other that of
//! a thread of its own; engines started in these threads live there. Nothing else is connected.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tappers::{Interface, Tun};
use tofu_testkit::Random;

use super::namespace::enter_network;

/// The addresses of the two sides.
pub(crate) const NEAR: &str = "10.77.0.1";
pub(crate) const FAR: &str = "10.77.0.2";

/// The device's name, the same in both networks.
const DEVICE: &str = "tofu0";

/// As long as a packet may be.
const MTU: usize = 1400;

/// What happens to packets, each in a thousand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) lost: u64,
    pub(crate) altered: u64,
    pub(crate) repeated: u64,
    /// The longest time that a packet takes, in microseconds. Each has its own, so some overtake
    /// others.
    pub(crate) delay: u64,
}

/// What has happened to packets.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) packets: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) altered: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) overtaken: AtomicU64,
}

/// Moves this thread into a network with one device in it, whose other end is `peer`. The error says
/// why that cannot be done here.
pub(crate) fn enter_device(address: &str, peer: &str) -> Result<Tun, String> {
    enter_network()?;
    let open = || -> Result<Tun> {
        let device = Tun::new_named(Interface::new(DEVICE)?)?;
        let mtu = MTU.to_string();
        ip(&["link", "set", DEVICE, "mtu", &mtu, "up"])?;
        ip(&["address", "add", address, "peer", peer, "dev", DEVICE])?;
        Ok(device)
    };
    open().map_err(|error| format!("no TUN device: {error:#}"))
}

fn ip(arguments: &[&str]) -> Result<()> {
    let status = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .status()
        .context("cannot run `ip`")?;
    ensure!(status.success(), "`ip {}` failed", arguments.join(" "));
    Ok(())
}

/// Relays between the two devices until the process ends.
pub(crate) fn relay(near: Tun, far: Tun, weather: Weather, random: &mut Random) -> Arc<Counts> {
    let counts = Arc::new(Counts::default());
    let (near, far) = (Arc::new(near), Arc::new(far));
    for (from, to) in [(&near, &far), (&far, &near)] {
        let (from, to) = (Arc::clone(from), Arc::clone(to));
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut packet = vec![0; 2 * MTU];
            while let Ok(len) = from.recv(&mut packet) {
                if sender.send(packet[..len].to_vec()).is_err() {
                    break;
                }
            }
        });
        let lane = Lane {
            to,
            weather,
            random: Random::new(random.next_u64()),
            counts: Arc::clone(&counts),
            waiting: BinaryHeap::new(),
            count: 0,
        };
        thread::spawn(move || lane.run(&receiver));
    }
    counts
}

/// A packet under way: when it arrives, and its place in the order of sending.
type Waiting = Reverse<(Instant, u64, Vec<u8>)>;

/// One direction.
struct Lane {
    to: Arc<Tun>,
    weather: Weather,
    random: Random,
    counts: Arc<Counts>,
    waiting: BinaryHeap<Waiting>,
    count: u64,
}

impl Lane {
    fn run(mut self, packets: &Receiver<Vec<u8>>) {
        let mut latest = 0;
        loop {
            let next = self.waiting.peek().map(|Reverse((due, _, _))| *due);
            let far_off = Instant::now() + Duration::from_secs(1);
            let wait = next.unwrap_or(far_off);
            match packets.recv_timeout(wait.saturating_duration_since(Instant::now())) {
                Ok(packet) => self.suffer(packet),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while self
                .waiting
                .peek()
                .is_some_and(|Reverse((due, _, _))| *due <= Instant::now())
            {
                let Some(Reverse((_, count, packet))) = self.waiting.pop() else {
                    break;
                };
                let is_overtaken = count < latest;
                self.note(&self.counts.overtaken, is_overtaken);
                latest = latest.max(count);
                // A device whose queue is full loses it, as others do.
                let _ = self.to.send(&packet);
            }
        }
    }

    /// What happens to a packet on its way.
    fn suffer(&mut self, mut packet: Vec<u8>) {
        self.note(&self.counts.packets, true);
        if self.strikes(self.weather.lost) {
            self.note(&self.counts.lost, true);
            return;
        }
        if self.strikes(self.weather.altered) {
            self.note(&self.counts.altered, true);
            let place = self.random.below(packet.len() as u64);
            // One byte: what changes more may by chance keep its checksum.
            let byte = usize::try_from(place)
                .ok()
                .and_then(|place| packet.get_mut(place));
            byte.into_iter().for_each(|byte| *byte ^= 0x55);
        }
        if self.strikes(self.weather.repeated) {
            self.note(&self.counts.repeated, true);
            self.send_off(packet.clone());
        }
        self.send_off(packet);
    }

    fn send_off(&mut self, packet: Vec<u8>) {
        let delay = Duration::from_micros(self.random.below(self.weather.delay));
        self.count += 1;
        let waiting = (Instant::now() + delay, self.count, packet);
        self.waiting.push(Reverse(waiting));
    }

    fn strikes(&mut self, per_mille: u64) -> bool {
        self.random.below(1000) < per_mille
    }

    fn note(&self, count: &AtomicU64, is_so: bool) {
        count.fetch_add(u64::from(is_so), Ordering::Relaxed);
    }
}
