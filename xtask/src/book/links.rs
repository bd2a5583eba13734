//! Whether every link of the book leads somewhere: to a chapter, a heading, a picture; and, for
//! rustdoc, whether links to chapters have a definition there too.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};

use super::docs;

/// The names that lead from one chapter to another in rustdoc.
const MODULE: &str = "crates/tofu/src/guide.rs";
const SUMMARY: &str = "SUMMARY.md";

/// Has a module of its own.
const ARCHITECTURE: &str = "architecture.md";

/// A chapter's text without code, and the addresses of its headings.
struct Chapter {
    text: String,
    headings: Vec<String>,
}

type Chapters = BTreeMap<String, Chapter>;

pub(super) fn dead() -> Result<Vec<String>> {
    let chapters = read()?;
    let module = super::read(MODULE)?;
    let mut findings = Vec::new();
    for (name, chapter) in &chapters {
        let found = targets(chapter)
            .into_iter()
            .filter_map(|target| problem(&chapters, name, &target));
        let undefined = undefined(chapter)
            .into_iter()
            .chain(unknown_to_rustdoc(name, chapter, &module));
        findings.extend(found.chain(undefined).map(|what| format!("{name}: {what}")));
        let listed = chapters
            .get(SUMMARY)
            .is_some_and(|it| it.text.contains(&format!("({name})")));
        if !listed && name != SUMMARY {
            findings.push(format!("{name} is not in {SUMMARY}"));
        }
    }
    Ok(findings)
}

fn read() -> Result<Chapters> {
    let mut chapters = Chapters::new();
    let folder = fs::read_dir(docs()).context("cannot read the folder of the book")?;
    for entry in folder {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            let text = fs::read_to_string(docs().join(&name))?;
            chapters.insert(name, chapter(&text));
        }
    }
    Ok(chapters)
}

fn chapter(text: &str) -> Chapter {
    let mut is_code = false;
    let mut kept = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        if !is_fence && !is_code {
            kept.push_str(line);
            kept.push('\n');
        }
        is_code ^= is_fence;
    }
    let headings = kept.lines().filter(|line| line.starts_with('#'));
    let headings = headings
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect();
    // Code within a line stands between two back-quotes.
    let text = kept.split('`').step_by(2).collect::<Vec<_>>().join("`");
    Chapter { text, headings }
}

/// The address of a heading within its page.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ => letter
            .is_alphanumeric()
            .then(|| letter.to_ascii_lowercase()),
    });
    kept.collect()
}

/// What follows `](`, and what the definitions of references say.
fn targets(chapter: &Chapter) -> Vec<String> {
    let inline = chapter.text.split("](").skip(1);
    let inline = inline.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let defined = definitions(chapter).into_iter().map(|(_, target)| target);
    inline.chain(defined).map(str::to_owned).collect()
}

/// Lines like `[name]: target`.
fn definitions(chapter: &Chapter) -> Vec<(&str, &str)> {
    let lines = chapter.text.lines();
    lines
        .filter_map(|line| line.strip_prefix('[')?.split_once("]: "))
        .collect()
}

/// Why a link leads nowhere, if it does.
fn problem(chapters: &Chapters, from: &str, target: &str) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if file.is_empty() { from } else { file };
    let found = match chapters.get(file) {
        Some(chapter) => anchor.is_empty() || chapter.headings.iter().any(|it| it == anchor),
        None => docs().join(file).is_file(),
    };
    (!found).then(|| format!("a link to {target}, which is not there"))
}

/// Names in `[text][name]` that are defined nowhere in the chapter.
fn undefined(chapter: &Chapter) -> Vec<String> {
    let names = chapter.text.split("][").skip(1);
    let names = names.filter_map(|rest| rest.split_once(']').map(|(name, _)| name));
    let known = definitions(chapter);
    let missing = names.filter(|name| !known.iter().any(|(defined, _)| defined == name));
    missing
        .map(|name| format!("[{name}] is not defined"))
        .collect()
}

/// Each chapter must be shown by rustdoc, and its links to others must be by a name that leads somewhere in rustdoc as well.
fn unknown_to_rustdoc(name: &str, chapter: &Chapter, module: &str) -> Vec<String> {
    if name == SUMMARY {
        return Vec::new();
    }
    let is_shown = name == ARCHITECTURE || module.contains(&format!("\"{name}\""));
    let hidden = (!is_shown).then(|| format!("{MODULE} does not show it, so nothing tests it"));
    let unnamed = chapter
        .text
        .split("](")
        .skip(1)
        .filter(|rest| !rest.starts_with(['#', 'h']));
    let unnamed = unnamed.map(|_| "a link to another chapter has to be by a name".to_owned());
    let names = definitions(chapter).into_iter().filter(|(name, target)| {
        target.contains(".md") && !module.contains(&format!("/// [{name}]: crate::"))
    });
    let names = names.map(|(name, _)| format!("[{name}] is not defined in {MODULE}"));
    hidden.into_iter().chain(unnamed).chain(names).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(text: &str) -> Chapters {
        let other = chapter("# Other\n\n## How it's `kept` true\n");
        Chapters::from([
            ("a.md".to_owned(), chapter(text)),
            ("b.md".to_owned(), other),
        ])
    }

    fn problems(text: &str) -> usize {
        let chapters = book(text);
        let targets = targets(&chapters["a.md"]);
        targets
            .iter()
            .filter(|target| problem(&chapters, "a.md", target).is_some())
            .count()
    }

    #[test]
    fn links_to_files_and_headings_are_followed() {
        assert_eq!(
            problems("[x](b.md) [y](#here)\n\n# Here\n\n[z]: b.md#how-its-kept-true\n"),
            0
        );
        assert_eq!(problems("[x](c.md) [y](#there)\n\n[z]: b.md#nothing\n"), 3);
        assert_eq!(problems("`[x](c.md)`\n\n```text\n[y](d.md)\n```\n"), 0);
    }

    #[test]
    fn a_name_must_be_defined_in_the_chapter_and_for_rustdoc() {
        let chapter = chapter("[a][one] [b][two]\n\n[one]: b.md\n");
        assert_eq!(undefined(&chapter), ["[two] is not defined"]);
        assert_eq!(
            unknown_to_rustdoc("a.md", &chapter, "/// [one]: crate::b\na = \"a.md\";").len(),
            0
        );
        assert_eq!(unknown_to_rustdoc("a.md", &chapter, "").len(), 2);
    }

    #[test]
    fn the_book_has_no_dead_links() {
        assert_eq!(dead().unwrap(), Vec::<String>::new());
    }
}
