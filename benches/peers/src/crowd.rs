//! Company for the work: busy processes beside it (`hogs=N`), or the same work several times at once
//! (`pairs=N`), each time by two processes of its own.
//!
//! Used by `main`. It shows whether whoever looks for messages instead of sleeping takes the cores from
//! others, or suffers when others take them.

use std::hint;
use std::io::{self, Read};
use std::process::{self, Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};

use crate::measures::Measures;

/// Processes that do nothing but take processor time, until this is dropped.
pub(crate) struct Hogs(Vec<Child>);

impl Hogs {
    pub(crate) fn start(count: usize) -> Result<Hogs> {
        let mut hogs = Hogs(Vec::new());
        for _ in 0..count {
            let mut command = Command::new(std::env::current_exe()?);
            let child = command.arg("burn").stdin(Stdio::piped()).spawn();
            hogs.0.push(child.context("cannot start a busy process")?);
        }
        Ok(hogs)
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Closing its input ends it as well; killing is quicker where both cores are busy.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A busy process: until its input is closed, which the end of whoever started it does.
pub(crate) fn burn() -> ! {
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        process::exit(0);
    });
    let mut number = 0_u64;
    loop {
        number = hint::black_box(number.wrapping_mul(31).wrapping_add(1));
    }
}

/// Does the work so many times at once. Returns the sum of what the pairs did, and what the slowest
/// one did.
pub(crate) fn several(words: &[String], pairs: usize) -> Result<Measures> {
    let mut children = Vec::new();
    for _ in 0..pairs {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("run");
        command.args(words.iter().filter(|word| !word.starts_with("pairs=")));
        children.push(command.stdout(Stdio::piped()).spawn()?);
    }
    let (mut rates, mut times) = (Vec::new(), Vec::new());
    for child in children {
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "a pair has failed");
        let lines = String::from_utf8(output.stdout)?;
        rates.push(value(&lines, "per_s")?);
        times.push(value(&lines, "cpu_us")?);
    }
    let sum: f64 = rates.iter().sum();
    let took = rates.iter().zip(&times).map(|(rate, time)| rate * time);
    let mut measures = Measures::default();
    measures.add("per_s", sum);
    measures.add("slowest_per_s", rates.iter().copied().fold(sum, f64::min));
    measures.add("cpu_us", took.sum::<f64>() / sum);
    Ok(measures)
}

fn value(lines: &str, name: &str) -> Result<f64> {
    let mut words = lines.lines().filter_map(|line| line.split_once(' '));
    let value = words.find_map(|(word, value)| (word == name).then_some(value));
    Ok(value
        .with_context(|| format!("a pair says no {name}"))?
        .parse()?)
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn a_value_is_found_by_its_name() {
        assert_eq!(
            value("count 3\nper_s 2.5\n", "per_s").unwrap().to_string(),
            "2.5"
        );
        assert!(value("count 3\n", "per_s").is_err());
    }
}
