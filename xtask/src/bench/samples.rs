//! What the runs gave, by case and library; kept in a file, so that shapes may be run one by one.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::cases::CASES;

/// What one run measured, by the program's names.
pub(super) type Measures = BTreeMap<String, f64>;

/// All runs of one library in one case.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Runs {
    /// By measure, in the order of the runs.
    values: BTreeMap<String, Vec<f64>>,
    /// What went wrong, run by run.
    pub(super) failures: Vec<String>,
}

/// By case and library.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Samples {
    cases: BTreeMap<String, BTreeMap<String, Runs>>,
}

/// Median and range of a measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Samples {
    pub(super) fn add(&mut self, case: &str, peer: &str, outcome: Result<Measures>) {
        let peers = self.cases.entry(case.to_owned()).or_default();
        let runs = peers.entry(peer.to_owned()).or_default();
        match outcome {
            Ok(measures) => {
                for (name, value) in measures {
                    runs.values.entry(name).or_default().push(value);
                }
            }
            Err(error) => runs.failures.push(format!("{error:#}")),
        }
    }

    pub(super) fn has(&self, case: &str) -> bool {
        self.cases.contains_key(case)
    }

    pub(super) fn runs(&self, case: &str, peer: &str) -> Option<&Runs> {
        self.cases.get(case)?.get(peer)
    }

    pub(super) fn has_failed(&self, case: &str, peer: &str) -> bool {
        self.runs(case, peer)
            .is_some_and(|runs| !runs.failures.is_empty())
    }

    /// Case, library and what went wrong.
    pub(super) fn failures(&self) -> Vec<(&str, &str, &str)> {
        let mut failures = Vec::new();
        for (case, peers) in &self.cases {
            for (peer, runs) in peers {
                let of_runs = runs.failures.iter();
                failures.extend(
                    of_runs.map(|failure| (case.as_str(), peer.as_str(), failure.as_str())),
                );
            }
        }
        failures
    }

    pub(super) fn spread(&self, case: &str, peer: &str, measure: &str) -> Option<Spread> {
        Spread::of(self.runs(case, peer)?.values.get(measure)?)
    }

    pub(super) fn median(&self, case: &str, peer: &str, measure: &str) -> Option<f64> {
        Some(self.spread(case, peer, measure)?.median)
    }

    /// Only the cases of one shape.
    pub(super) fn of_shape(&self, shape: &str) -> Samples {
        let is_of = |name: &str| {
            CASES
                .iter()
                .any(|case| case.shape == shape && case.name == name)
        };
        let mut samples = self.clone();
        samples.cases.retain(|name, _| is_of(name));
        samples
    }

    pub(super) fn to_json(&self) -> Value {
        let cases = self.cases.iter().map(|(case, peers)| {
            let peers = peers
                .iter()
                .map(|(peer, runs)| (peer.clone(), runs.to_json()));
            (case.clone(), Value::Object(peers.collect()))
        });
        Value::Object(cases.collect())
    }

    pub(super) fn from_json(value: &Value) -> Result<Samples> {
        let mut samples = Samples::default();
        for (case, peers) in object(value)? {
            let mut by_peer = BTreeMap::new();
            for (peer, runs) in object(peers)? {
                by_peer.insert(peer.clone(), Runs::from_json(runs)?);
            }
            samples.cases.insert(case.clone(), by_peer);
        }
        Ok(samples)
    }
}

impl Runs {
    fn to_json(&self) -> Value {
        json!({ "values": self.values, "failures": self.failures })
    }

    fn from_json(value: &Value) -> Result<Runs> {
        let mut runs = Runs::default();
        for (measure, values) in object(&value["values"])? {
            let values = values.as_array().context("no list of values")?;
            let values = values.iter().filter_map(Value::as_f64).collect();
            runs.values.insert(measure.clone(), values);
        }
        let failures = value["failures"].as_array().into_iter().flatten();
        runs.failures = failures
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        Ok(runs)
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>> {
    value.as_object().context("no JSON object")
}

impl Spread {
    pub(super) fn divided_by(self, unit: f64) -> Spread {
        Spread {
            median: self.median / unit,
            least: self.least / unit,
            most: self.most / unit,
        }
    }

    fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[middle],
            _ => (sorted.get(middle.checked_sub(1)?)? + sorted.get(middle)?) / 2.0,
        };
        Some(Spread {
            median,
            least: *sorted.first()?,
            most: *sorted.last()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(value: f64) -> Result<Measures> {
        Ok(BTreeMap::from([("per_s".to_owned(), value)]))
    }

    #[test]
    fn the_median_of_few_runs() {
        let mut samples = Samples::default();
        assert_eq!(samples.median("c", "p", "per_s"), None);
        samples.add("c", "p", measures(3.0));
        samples.add("c", "p", measures(1.0));
        assert_eq!(samples.median("c", "p", "per_s"), Some(2.0));
        samples.add("c", "p", measures(9.0));
        let spread = samples.spread("c", "p", "per_s").unwrap();
        assert_eq!((spread.median, spread.least, spread.most), (3.0, 1.0, 9.0));
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut samples = Samples::default();
        samples.add("c", "p", measures(3.5));
        samples.add("c", "p", Err(anyhow::anyhow!("hung")));
        samples.add("d", "p", measures(1.0));
        let kept = samples.to_json().to_string();
        let kept: Value = serde_json::from_str(&kept).unwrap();
        assert_eq!(Samples::from_json(&kept).unwrap(), samples);
        assert!(Samples::from_json(&json!({ "c": 5 })).is_err());
    }
}
