//! What tofu must reach, and what it aims at: as ratios within one run, or as plain values.

use super::samples::Samples;

/// A value of a library in a case.
#[derive(Debug, Clone, Copy)]
struct Value {
    peer: &'static str,
    case: &'static str,
    measure: &'static str,
}

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    AtMost,
    AtLeast,
}

#[derive(Debug)]
pub(super) struct Target {
    /// Of tofu.
    value: Value,
    /// What the value is divided by; where there is none it stands for itself.
    against: Option<Value>,
    bound: Bound,
    must: Option<f64>,
    goal: Option<f64>,
}

/// A target with what came out.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) what: String,
    /// None where one of the two sides was not measured.
    pub(super) value: Option<f64>,
    pub(super) must: String,
    pub(super) goal: String,
    pub(super) verdict: &'static str,
}

use Bound::{AtLeast, AtMost};

pub(super) const TARGETS: &[Target] = &[
    to(
        "lat tcp",
        "p50_us",
        "libzmq",
        AtMost,
        Some(0.25),
        Some(0.18),
    ),
    to("lat tcp", "p50_us", "floor4", AtMost, None, Some(1.2)),
    tail("lat tcp"),
    to(
        "lat uds",
        "p50_us",
        "libzmq",
        AtMost,
        Some(0.25),
        Some(0.18),
    ),
    to("lat uds", "p50_us", "floor4", AtMost, None, Some(1.2)),
    tail("lat uds"),
    to(
        "lat tcp, no spinning",
        "p50_us",
        "libzmq",
        AtMost,
        Some(1.0),
        None,
    ),
    blocking("lat tcp, no spinning"),
    to(
        "lat uds, no spinning",
        "p50_us",
        "libzmq",
        AtMost,
        Some(1.0),
        None,
    ),
    blocking("lat uds, no spinning"),
    blocking("lat tcp, no spinning, one core"),
    blocking("lat uds, no spinning, one core"),
    to(
        "sporadic tcp",
        "p50_us",
        "libzmq",
        AtMost,
        Some(1.0),
        Some(0.8),
    ),
    to(
        "thr tcp 64 B",
        "per_s",
        "libzmq",
        AtLeast,
        Some(2.2),
        Some(3.5),
    ),
    to("thr tcp 64 B", "per_s", "tokio", AtLeast, None, Some(1.0)),
    to(
        "thr tcp 64 B",
        "cpu_us",
        "libzmq",
        AtMost,
        Some(0.5),
        Some(0.28),
    ),
    to(
        "thr tcp 1 KiB",
        "per_s",
        "libzmq",
        AtLeast,
        Some(2.2),
        Some(3.0),
    ),
    to("thr tcp 1 KiB", "per_s", "tokio", AtLeast, None, Some(1.5)),
    to(
        "thr tcp 60000 B",
        "per_s",
        "libzmq",
        AtLeast,
        Some(2.2),
        Some(3.2),
    ),
    to(
        "thr tcp 60000 B",
        "per_s",
        "tokio",
        AtLeast,
        None,
        Some(0.95),
    ),
    to(
        "thr uds 64 B",
        "per_s",
        "libzmq",
        AtLeast,
        Some(2.5),
        Some(5.0),
    ),
    to(
        "win tcp 1",
        "per_s",
        "libzmq",
        AtLeast,
        Some(3.0),
        Some(5.0),
    ),
    to(
        "win tcp 100",
        "per_s",
        "libzmq",
        AtLeast,
        Some(4.0),
        Some(7.0),
    ),
    to("win tcp 100", "per_s", "tokio", AtLeast, None, Some(1.0)),
    to(
        "win tcp 1000",
        "per_s",
        "libzmq",
        AtLeast,
        Some(5.0),
        Some(9.0),
    ),
    to("win tcp 1000", "per_s", "tokio", AtLeast, None, Some(1.0)),
    plain("conns tcp 1000", "bytes", AtMost, 1024.0, 400.0),
    plain("conns tcp 9000", "bytes", AtMost, 1024.0, 400.0),
    to(
        "conns tcp 1000",
        "per_s",
        "libzmq",
        AtLeast,
        Some(2.0),
        Some(4.0),
    ),
    to(
        "conns tcp 5000",
        "per_s",
        "libzmq",
        AtLeast,
        Some(2.0),
        Some(4.0),
    ),
    own("growth 9000", "p50_us", "growth 10", AtMost, 1.1, 1.05),
    unharmed("hogs 2", "per_s", "hogs 2, no spinning"),
    unharmed("pairs 4", "per_s", "pairs 4, no spinning"),
    plain("post 1", "ns", AtMost, 80.0, 50.0),
    own("post 4", "per_s", "post 1", AtLeast, 0.7, 1.0),
];

const fn of(peer: &'static str, case: &'static str, measure: &'static str) -> Value {
    Value {
        peer,
        case,
        measure,
    }
}

/// Against another library.
const fn to(
    case: &'static str,
    measure: &'static str,
    peer: &'static str,
    bound: Bound,
    must: Option<f64>,
    goal: Option<f64>,
) -> Target {
    Target {
        value: of("tofu", case, measure),
        against: Some(of(peer, case, measure)),
        bound,
        must,
        goal,
    }
}

/// Round trips of threads that sleep, against those of the bare program.
const fn blocking(case: &'static str) -> Target {
    to(case, "p50_us", "floor4", AtMost, Some(1.15), Some(1.05))
}

/// The slow round trips against the ordinary ones of libzmq.
const fn tail(case: &'static str) -> Target {
    Target {
        against: Some(of("libzmq", case, "p50_us")),
        ..to(case, "p99_us", "libzmq", AtMost, None, Some(1.0))
    }
}

/// Against another case of tofu.
const fn own(
    case: &'static str,
    measure: &'static str,
    other: &'static str,
    bound: Bound,
    must: f64,
    goal: f64,
) -> Target {
    Target {
        against: Some(of("tofu", other, measure)),
        ..plain(case, measure, bound, must, goal)
    }
}

/// Where others want the cores too: no less by looking than by sleeping.
const fn unharmed(case: &'static str, measure: &'static str, asleep: &'static str) -> Target {
    Target {
        must: None,
        ..own(case, measure, asleep, AtLeast, 0.0, 1.0)
    }
}

/// As it stands.
const fn plain(
    case: &'static str,
    measure: &'static str,
    bound: Bound,
    must: f64,
    goal: f64,
) -> Target {
    Target {
        value: of("tofu", case, measure),
        against: None,
        bound,
        must: Some(must),
        goal: Some(goal),
    }
}

impl Target {
    /// What came out; nothing where the case was not run at all.
    pub(super) fn judge(&self, samples: &Samples) -> Option<Row> {
        let value = self.ratio(samples);
        samples.has(self.value.case).then(|| Row {
            what: self.describe(),
            value,
            must: self.limit(self.must),
            goal: self.limit(self.goal),
            verdict: value.map_or("not measured", |value| self.verdict(value)),
        })
    }

    fn ratio(&self, samples: &Samples) -> Option<f64> {
        let median = |value: Value| samples.median(value.case, value.peer, value.measure);
        let against = match self.against {
            Some(other) => median(other)?,
            None => 1.0,
        };
        Some(median(self.value)? / against)
    }

    fn describe(&self) -> String {
        let Value { case, measure, .. } = self.value;
        match self.against {
            None => format!("{case}, {measure}"),
            Some(other) if other.peer == self.value.peer => {
                format!("{case}, {measure} : {}", other.case)
            }
            Some(other) if other.measure == measure => {
                format!("{case}, {measure} : {}", other.peer)
            }
            Some(other) => format!("{case}, {measure} : {} {}", other.peer, other.measure),
        }
    }

    fn limit(&self, limit: Option<f64>) -> String {
        let sign = match self.bound {
            AtMost => "≤",
            AtLeast => "≥",
        };
        limit.map_or_else(String::new, |limit| format!("{sign} {limit}"))
    }

    fn verdict(&self, value: f64) -> &'static str {
        let holds = |limit: f64| match self.bound {
            AtMost => value <= limit,
            AtLeast => value >= limit,
        };
        match (self.must.is_none_or(holds), self.goal.is_none_or(holds)) {
            (false, _) => "**missed**",
            (true, true) if self.goal.is_some() => "goal",
            (true, _) if self.must.is_some() => "must",
            (true, _) => "not yet",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::cases::{CASES, PEERS};
    use super::*;

    #[test]
    fn every_target_is_about_something_that_is_measured() {
        for target in TARGETS {
            for value in [Some(target.value), target.against].into_iter().flatten() {
                let case = CASES.iter().find(|case| case.name == value.case);
                let case = case.unwrap_or_else(|| panic!("{value:?}"));
                let has_measure = case.measures.iter().any(|one| one.name == value.measure);
                let peer = PEERS.iter().find(|peer| peer.name == value.peer);
                assert!(has_measure && case.suits(peer.unwrap()), "{value:?}");
            }
        }
    }

    fn judged(tofu: f64) -> Row {
        let mut samples = Samples::default();
        for (peer, value) in [("tofu", tofu), ("libzmq", 100.0)] {
            let measures = BTreeMap::from([("p50_us".to_owned(), value)]);
            samples.add("lat tcp", peer, Ok(measures));
        }
        TARGETS[0].judge(&samples).unwrap()
    }

    #[test]
    fn must_and_goal_are_told_apart() {
        assert_eq!(judged(18.0).verdict, "goal");
        assert_eq!(judged(20.0).verdict, "must");
        assert_eq!(judged(30.0).verdict, "**missed**");
        assert_eq!(judged(30.0).must, "≤ 0.25");
        assert_eq!(TARGETS[0].judge(&Samples::default()), None);
        let no_goal = TARGETS.iter().find(|target| target.goal.is_none());
        assert_eq!(no_goal.unwrap().verdict(0.5), "must");
    }

    #[test]
    fn what_was_run_without_the_other_side_is_not_measured() {
        let mut samples = Samples::default();
        let measures = BTreeMap::from([("p50_us".to_owned(), 20.0)]);
        samples.add("lat tcp", "tofu", Ok(measures));
        let row = TARGETS[0].judge(&samples).unwrap();
        assert_eq!((row.value, row.verdict), (None, "not measured"));
    }
}
