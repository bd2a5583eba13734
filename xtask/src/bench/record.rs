//! Results that are kept: the values as JSON, and tables and pictures made of them.
//!
//! A shape that is measured again takes the place of the former one, with its date, commit and
//! machine; the others stay as they are.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::cases::{MANY, MOST_RUNS_OF_MANY, shapes};
use super::samples::Samples;
use super::{machine, plot, table};
use crate::deadline::Deadline;
use crate::{process, workspace};

const VALUES: &str = "peers.json";
const TABLES: &str = "peers.md";

/// The tools that are asked answer at once.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

const PREFACE: &str = "# The same work by several libraries

Written by `cargo xtask bench peers`; how it is done is told in
[benches/peers/README.md](../peers/README.md). Medians, and in brackets the least and the most of all
runs. Absolute values are those of the machine; the ratios are what counts.
";

/// Where and how it was measured, in words.
pub(super) fn circumstances(runs: u32, milliseconds: u64, others: f64) -> Result<Value> {
    let (date, commit, machine) = origin()?;
    let how = format!(
        "{runs} runs of {milliseconds} ms each (at most {MOST_RUNS_OF_MANY} from {MANY} connections on), \
         the libraries in turn; others took up to {:.0} % of \
         the processors meanwhile",
        others * 100.0
    );
    Ok(json!({ "date": date, "commit": commit, "machine": machine, "how": how }))
}

/// Date, commit and machine.
pub(super) fn origin() -> Result<(String, String, String)> {
    let date = ask("date", &["-u", "+%Y-%m-%d"])?;
    let commit = ask("git", &["describe", "--always", "--dirty", "--exclude=*"])?;
    Ok((date, commit, machine::describe()))
}

fn ask(program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace::root());
    let answer = process::output(&mut command, Deadline::after(ANSWER_LIMIT))?;
    Ok(answer.trim().to_owned())
}

/// Puts the samples of these shapes in the place of those that are kept in the folder, and writes
/// tables and pictures anew.
pub(super) fn keep(
    folder: &Path,
    shapes: &[&str],
    circumstances: &Value,
    samples: &Samples,
) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut kept = read(&folder.join(VALUES))?;
    for shape in shapes {
        let of_shape = samples.of_shape(shape);
        let mut value = circumstances.clone();
        value["cases"] = of_shape.to_json();
        kept.insert((*shape).to_owned(), value);
    }
    let text = serde_json::to_string_pretty(&kept)? + "\n";
    fs::write(folder.join(VALUES), text).context("cannot write the values")?;
    write_for_readers(folder, &kept)
}

/// Writes tables and pictures anew from the values that are kept, after a change of either.
pub(super) fn redraw(folder: &Path) -> Result<()> {
    write_for_readers(folder, &read(&folder.join(VALUES))?)
}

fn write_for_readers(folder: &Path, kept: &Map<String, Value>) -> Result<()> {
    fs::write(folder.join(TABLES), describe(kept)?).context("cannot write the tables")?;
    for (shape, value) in kept {
        if let Some(picture) = plot::draw(shape, &Samples::from_json(&value["cases"])?) {
            fs::write(folder.join(format!("{shape}.svg")), picture)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Map<String, Value>> {
    if !path.is_file() {
        return Ok(Map::new());
    }
    let text = fs::read_to_string(path)?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
}

/// All shapes that are kept, as Markdown.
fn describe(kept: &Map<String, Value>) -> Result<String> {
    let mut text = PREFACE.to_owned();
    for shape in shapes() {
        let Some(value) = kept.get(shape) else {
            continue;
        };
        let word = |name: &str| value[name].as_str().unwrap_or("unknown").to_owned();
        text.push_str(&format!(
            "\n## {shape}\n\n{}, commit {}, {}. {}.\n\n",
            word("date"),
            word("commit"),
            word("machine"),
            word("how"),
        ));
        text.push_str(&table::describe(
            shape,
            &Samples::from_json(&value["cases"])?,
        ));
        text.push_str(&format!("\n![{shape}]({shape}.svg)\n"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn samples(case: &str, measure: &str) -> Samples {
        let mut samples = Samples::default();
        let measures = BTreeMap::from([(measure.to_owned(), 5.0)]);
        samples.add(case, "tofu", Ok(measures));
        samples
    }

    #[test]
    fn a_shape_that_is_measured_again_leaves_the_others_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = json!({ "date": "first" });
        let second = json!({ "date": "second" });
        let (thr, lat) = (
            samples("thr tcp 64 B", "per_s"),
            samples("lat tcp", "p50_us"),
        );
        keep(folder.path(), &["thr"], &first, &thr).unwrap();
        keep(folder.path(), &["lat"], &first, &lat).unwrap();
        keep(folder.path(), &["lat"], &second, &lat).unwrap();
        let text = fs::read_to_string(folder.path().join(TABLES)).unwrap();
        assert_eq!(text.matches("## ").count(), 2, "{text}");
        assert!(
            text.contains("## lat\n\nsecond, ") && text.contains("## thr\n\nfirst, "),
            "{text}"
        );
        let picture = folder.path().join("lat.svg");
        fs::remove_file(&picture).unwrap();
        redraw(folder.path()).unwrap();
        assert!(picture.is_file());
    }
}
