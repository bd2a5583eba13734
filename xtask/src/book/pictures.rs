//! The book's pictures: which there are, writing them, and whether what is checked in is up to date.

use std::fs;

use anyhow::{Context as _, Result};

use super::{docs, message, states, svg, walk};

/// The definitions by which rustdoc finds the pictures.
const INLINE: &str = "inline.md";

/// Makes the files of the folder `pictures`: their names and what is in them.
fn make() -> Result<Vec<(String, String)>> {
    let pictures = [
        ("message", message::draw()),
        ("states", states::draw()?),
        ("walk", walk::draw()),
    ];
    let inline: String = pictures
        .iter()
        .map(|(name, picture)| format!("[{name}]: {}\n", svg::address(picture)))
        .collect();
    let files = pictures.map(|(name, picture)| (format!("{name}.svg"), picture));
    let mut files = Vec::from(files);
    files.push((INLINE.to_owned(), inline));
    Ok(files)
}

pub(super) fn write() -> Result<()> {
    let folder = docs().join("pictures");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, content) in make()? {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Those that are not what this command makes.
pub(super) fn outdated() -> Result<Vec<String>> {
    let folder = docs().join("pictures");
    let files = make()?.into_iter();
    let outdated = files.filter(|(name, content)| {
        fs::read_to_string(folder.join(name)).ok().as_ref() != Some(content)
    });
    Ok(outdated
        .map(|(name, _)| format!("pictures/{name} is out of date; `cargo xtask book` makes it"))
        .collect())
}
