//! The pieces of work that are compared: the one place that says what is run, and what it measures.

/// A library, the feature that compiles it in, and what it can do.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// Empty where nothing has to be asked for.
    pub(super) feature: &'static str,
    /// Whether it knows Unix domain sockets.
    pub(super) has_uds: bool,
    /// Connections that its client can have under common limits of descriptors.
    pub(super) most_connections: usize,
    /// Shapes that it is run in.
    pub(super) shapes: &'static [&'static str],
}

/// Without the shape that needs thousands of connections before it begins: for who is slow at that.
const SOME: &[&str] = &["lat", "thr", "win", "conns"];

const MOST: &[&str] = &["lat", "thr", "win", "conns", "growth"];

/// With company: for those that show what looking instead of sleeping does there.
const CROWDED: &[&str] = &["lat", "thr", "win", "conns", "growth", "hogs", "pairs"];

pub(super) const PEERS: &[Peer] = &[
    peer(
        "tofu",
        "",
        &[
            "lat", "thr", "win", "conns", "growth", "hogs", "pairs", "post",
        ],
    ),
    peer("floor4", "", CROWDED),
    // Three descriptors for each connection of the client.
    Peer {
        most_connections: 6000,
        ..peer("libzmq", "libzmq", CROWDED)
    },
    // Opening 9000 takes it eight seconds, each time.
    Peer {
        most_connections: 6000,
        ..peer("nng", "nng", SOME)
    },
    peer("tokio", "tokio", MOST),
    peer("tokio-64k", "tokio", &["thr"]),
    peer("tokio-actor", "tokio", MOST),
    Peer {
        has_uds: false,
        most_connections: 1000,
        ..peer("message-io", "message-io", SOME)
    },
];

const fn peer(name: &'static str, feature: &'static str, shapes: &'static [&'static str]) -> Peer {
    Peer {
        name,
        feature,
        has_uds: true,
        most_connections: usize::MAX,
        shapes,
    }
}

/// A value that a case measures, as the programs print it and as a table shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measure {
    /// The program's name for it.
    pub(super) name: &'static str,
    /// The table's name for it, with its unit.
    pub(super) title: &'static str,
    /// What it is divided by for the table.
    pub(super) unit: f64,
}

const P50: Measure = measure("p50_us", "p50, µs", 1.0);
const P99: Measure = measure("p99_us", "p99, µs", 1.0);
const MILLIONS: Measure = measure("per_s", "million/s", 1e6);
const THOUSANDS: Measure = measure("per_s", "thousand/s", 1e3);
const PROCESSOR: Measure = measure("cpu_us", "processor time of both, µs each", 1.0);
const SLOWEST: Measure = measure("slowest_per_s", "the slowest pair, thousand/s", 1e3);
const BYTES: Measure = measure("bytes", "bytes per connection (server)", 1.0);
const NANOSECONDS: Measure = measure("ns", "ns per post", 1.0);

const fn measure(name: &'static str, title: &'static str, unit: f64) -> Measure {
    Measure { name, title, unit }
}

impl Measure {
    /// Whether more of it is better.
    pub(super) fn is_rate(&self) -> bool {
        self.name.ends_with("per_s")
    }
}

/// One piece of work, done by each library.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) shape: &'static str,
    /// Unique.
    pub(super) name: &'static str,
    /// What the program is told.
    pub(super) words: &'static [&'static str],
    pub(super) measures: &'static [Measure],
    /// Part of the quick look.
    pub(super) is_quick: bool,
}

pub(super) const CASES: &[Case] = &[
    quick("lat", "lat tcp", &["lat"], TRIPS),
    quick("lat", "lat uds", &["lat", "transport=uds"], TRIPS),
    slow("lat", "lat tcp, no spinning", &["lat", "spin=off"], TRIPS),
    slow(
        "lat",
        "lat uds, no spinning",
        &["lat", "transport=uds", "spin=off"],
        TRIPS,
    ),
    slow(
        "lat",
        "lat tcp, no spinning, one core",
        &["lat", "spin=off", "cores=1"],
        TRIPS,
    ),
    slow(
        "lat",
        "lat uds, no spinning, one core",
        &["lat", "transport=uds", "spin=off", "cores=1"],
        TRIPS,
    ),
    slow("lat", "sporadic tcp", &["lat", "pause=1000"], TRIPS),
    quick("thr", "thr tcp 64 B", &["thr"], STREAM),
    slow("thr", "thr tcp 1 KiB", &["thr", "size=1024"], STREAM),
    slow("thr", "thr tcp 60000 B", &["thr", "size=60000"], LARGE),
    quick("thr", "thr uds 64 B", &["thr", "transport=uds"], STREAM),
    slow(
        "thr",
        "thr uds 60000 B",
        &["thr", "transport=uds", "size=60000"],
        LARGE,
    ),
    quick("win", "win tcp 1", &["win"], STREAM),
    quick("win", "win tcp 100", &["win", "connections=100"], STREAM),
    slow("win", "win tcp 1000", &["win", "connections=1000"], STREAM),
    slow(
        "conns",
        "conns tcp 1000",
        &["conns", "connections=1000"],
        HELD,
    ),
    slow(
        "conns",
        "conns tcp 5000",
        &["conns", "connections=5000"],
        HELD,
    ),
    slow(
        "conns",
        "conns tcp 9000",
        &["conns", "connections=9000"],
        HELD,
    ),
    slow("growth", "growth 10", &["lat", "connections=11"], TRIPS),
    slow("growth", "growth 1000", &["lat", "connections=1001"], TRIPS),
    slow("growth", "growth 9000", &["lat", "connections=9001"], TRIPS),
    slow("hogs", "hogs 2", &["lat", "hogs=2"], BESIDE),
    slow(
        "hogs",
        "hogs 2, no spinning",
        &["lat", "hogs=2", "spin=off"],
        BESIDE,
    ),
    slow("pairs", "pairs 4", &["lat", "pairs=4"], AT_ONCE),
    slow(
        "pairs",
        "pairs 4, no spinning",
        &["lat", "pairs=4", "spin=off"],
        AT_ONCE,
    ),
    slow("post", "post 1", &["post", "threads=1"], POSTS),
    slow("post", "post 2", &["post", "threads=2"], POSTS),
    slow("post", "post 4", &["post", "threads=4"], POSTS),
];

const TRIPS: &[Measure] = &[P50, P99, PROCESSOR];
const STREAM: &[Measure] = &[MILLIONS, PROCESSOR];
const LARGE: &[Measure] = &[THOUSANDS, PROCESSOR];
const HELD: &[Measure] = &[BYTES, THOUSANDS];
const BESIDE: &[Measure] = &[THOUSANDS, P99, PROCESSOR];
const AT_ONCE: &[Measure] = &[THOUSANDS, SLOWEST, PROCESSOR];
const POSTS: &[Measure] = &[NANOSECONDS, MILLIONS];

const fn slow(
    shape: &'static str,
    name: &'static str,
    words: &'static [&'static str],
    measures: &'static [Measure],
) -> Case {
    Case {
        shape,
        name,
        words,
        measures,
        is_quick: false,
    }
}

const fn quick(
    shape: &'static str,
    name: &'static str,
    words: &'static [&'static str],
    measures: &'static [Measure],
) -> Case {
    Case {
        is_quick: true,
        ..slow(shape, name, words, measures)
    }
}

/// Connections that take seconds to open.
pub(super) const MANY: usize = 5000;

/// How often such a case is run at most.
pub(super) const MOST_RUNS_OF_MANY: u32 = 3;

impl Case {
    /// Whether the library can do it at all.
    pub(super) fn suits(&self, peer: &Peer) -> bool {
        let has_transport = peer.has_uds || !self.words.contains(&"transport=uds");
        has_transport
            && peer.shapes.contains(&self.shape)
            && self.connections() <= peer.most_connections
    }

    /// How often it is run where each is to be run so often: what takes seconds to open its
    /// connections, and varies little, not so often.
    pub(super) fn runs(&self, wanted: u32) -> u32 {
        match self.connections() {
            MANY.. => wanted.min(MOST_RUNS_OF_MANY),
            _ => wanted,
        }
    }

    fn connections(&self) -> usize {
        let numbers = self
            .words
            .iter()
            .filter_map(|word| word.strip_prefix("connections="));
        numbers
            .filter_map(|number| number.parse().ok())
            .max()
            .unwrap_or(1)
    }
}

/// The names of all shapes, in the order of the cases.
pub(super) fn shapes() -> Vec<&'static str> {
    let mut shapes: Vec<&str> = CASES.iter().map(|case| case.shape).collect();
    shapes.dedup();
    shapes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_shapes_stand_together() {
        let names: BTreeSet<&str> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
        let unique: BTreeSet<&str> = shapes().into_iter().collect();
        assert_eq!(unique.len(), shapes().len());
    }

    #[test]
    fn who_has_no_such_sockets_is_left_out() {
        let without = PEERS.iter().find(|peer| !peer.has_uds).unwrap();
        for case in CASES.iter().filter(|case| case.shape == "thr") {
            assert_eq!(case.suits(without), case.name.contains("tcp"));
        }
    }

    #[test]
    fn who_cannot_have_so_many_connections_is_left_out() {
        let libzmq = PEERS.iter().find(|peer| peer.name == "libzmq").unwrap();
        let suits = |name: &str| {
            CASES
                .iter()
                .find(|case| case.name == name)
                .unwrap()
                .suits(libzmq)
        };
        assert!(suits("conns tcp 5000") && suits("lat tcp") && !suits("conns tcp 9000"));
    }
}
