//! The states of a channel, drawn from the table that the engine's tests hold to its code.
//!
//! Only the places are chosen here. A state or a way that has none is an error, so that the picture
//! cannot fall behind.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use super::svg::{Anchor, Canvas, Point};

const TABLE: &str = "crates/tofu-engine/src/core/conversation/transitions.txt";

/// Ends that are possible everywhere, and would be an arrow from each state: they are told in words.
const ANYWHERE: [&str; 2] = ["closed, a violation", "closed, as if the peer had"];
const CLOSED: &str = "closed";
const CONFIRMED: &str = "closed, confirmed";

/// The middles of the states' boxes.
const STATES: [(&str, Point); 9] = [
    ("Connecting", (100.0, 40.0)),
    ("Greeting", (358.0, 40.0)),
    ("Open", (230.0, 150.0)),
    ("ByeSent", (100.0, 250.0)),
    ("ByeReceived", (358.0, 250.0)),
    ("ByeCrossed", (206.0, 400.0)),
    ("Draining", (358.0, 400.0)),
    (CONFIRMED, (110.0, 540.0)),
    (CLOSED, (358.0, 540.0)),
];

const BOX: Point = (134.0, 40.0);

/// Where the words beside an arrow stand.
const WAYS: [(&str, &str, Point, Anchor); 10] = [
    ("Connecting", "Open", (154.0, 98.0), Anchor::End),
    ("Greeting", "Open", (308.0, 98.0), Anchor::Start),
    ("Open", "ByeSent", (148.0, 205.0), Anchor::End),
    ("Open", "ByeReceived", (314.0, 205.0), Anchor::Start),
    ("ByeSent", "ByeCrossed", (142.0, 296.0), Anchor::Start),
    ("ByeReceived", "ByeCrossed", (281.0, 318.0), Anchor::End),
    ("ByeReceived", "Draining", (365.0, 318.0), Anchor::Start),
    ("ByeSent", CONFIRMED, (94.0, 390.0), Anchor::End),
    ("ByeCrossed", CONFIRMED, (180.0, 458.0), Anchor::Start),
    ("Draining", CLOSED, (350.0, 490.0), Anchor::End),
];

/// From where to where, and by which events.
type Ways = BTreeMap<(String, String), Vec<String>>;

pub(super) fn draw() -> Result<String> {
    let ways = ways(&super::read(TABLE)?)?;
    let mut canvas = Canvas::default();
    for ((from, to), events) in &ways {
        way(&mut canvas, from, to, events)?;
    }
    for (name, (x, y)) in STATES {
        let class = if name.starts_with(CLOSED) {
            "mark"
        } else {
            "box"
        };
        canvas.rectangle(class, (x - BOX.0 / 2.0, y - BOX.1 / 2.0), BOX);
        canvas.text("", Anchor::Middle, (x, y + 5.0), &[name]);
    }
    let note = [
        "From every state to closed: a ByeSignal, an error, a deadline,",
        "a peer that breaks the protocol, or the end of its connection.",
    ];
    canvas.text("small", Anchor::Middle, (230.0, 592.0), &note);
    Ok(canvas.finish("The states of a channel", 626.0))
}

/// The ways between states. What follows a comma tells variants of one state apart, which are
/// one box.
fn ways(table: &str) -> Result<Ways> {
    let mut ways = Ways::new();
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    for row in rows {
        let Some((from, (event, to))) = split(row).and_then(|(a, rest)| Some((a, split(rest)?)))
        else {
            bail!("{TABLE}: not a row: {row}");
        };
        let [from, whole] = [from, to].map(state);
        place(from)?;
        if !ANYWHERE.contains(&to) && from != whole {
            let events = ways.entry((from.to_owned(), whole.to_owned())).or_default();
            if !events.iter().any(|known| known == event) {
                events.push(event.to_owned());
            }
        }
    }
    // Whatever has no other way out ends with the connection.
    for (name, _) in STATES.iter().filter(|(name, _)| !name.starts_with(CLOSED)) {
        if !ways.keys().any(|(from, _)| from == name) {
            let way = ((*name).to_owned(), CLOSED.to_owned());
            ways.insert(way, vec!["the connection ends".to_owned()]);
        }
    }
    Ok(ways)
}

fn split(text: &str) -> Option<(&str, &str)> {
    text.split_once(" | ")
}

fn state(name: &str) -> &str {
    match name {
        CONFIRMED => name,
        _ => name.split(',').next().unwrap_or(name),
    }
}

fn place(name: &str) -> Result<Point> {
    let place = STATES.iter().find(|(known, _)| *known == name);
    place
        .map(|(_, at)| *at)
        .with_context(|| format!("the picture has no place for the state {name}"))
}

fn way(canvas: &mut Canvas, from: &str, to: &str, events: &[String]) -> Result<()> {
    let words = WAYS.iter().find(|way| (way.0, way.1) == (from, to));
    let &(_, _, at, anchor) =
        words.with_context(|| format!("the picture has no place for the way {from} -> {to}"))?;
    let (start, end) = (place(from)?, place(to)?);
    canvas.arrow(edge(start, end), edge(end, start));
    let text = words_of(events);
    canvas.text("small", anchor, at, &lines(&text));
    Ok(())
}

/// `A sent`, `A came` becomes `A sent and came`.
fn words_of(events: &[String]) -> String {
    let mut text = String::new();
    let mut last = "";
    for event in events {
        let (what, how) = event.split_once(' ').unwrap_or((event, ""));
        if text.is_empty() {
            text.push_str(event);
        } else {
            text.push_str(" and ");
            text.push_str(if what == last { how } else { event });
        }
        last = what;
    }
    text
}

/// Words that have no room in one line stand in two.
fn lines(text: &str) -> Vec<&str> {
    let first = ["ByeResponse", "the connection"];
    let first = first
        .iter()
        .find_map(|first| text.strip_prefix(first).map(|rest| (*first, rest)));
    match first {
        Some((first, rest)) => vec![first, rest.trim_start()],
        None => vec![text],
    }
}

/// Where the straight line from the middle `from` to `to` leaves the box.
fn edge(from: Point, to: Point) -> Point {
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    let sideways = BOX.0 / 2.0 / x.abs().max(f64::MIN_POSITIVE);
    let upright = BOX.1 / 2.0 / y.abs().max(f64::MIN_POSITIVE);
    let part = sideways.min(upright);
    (from.0 + x * part, from.1 + y * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_without_a_place_is_an_error() {
        let error = ways("Dreaming | data came | Open\n").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("no place for the state Dreaming"),
            "{error}"
        );
    }

    #[test]
    fn variants_of_a_state_are_one_box() {
        let table = "ByeCrossed | ByeResponse sent | ByeCrossed, answered\n\
                     ByeCrossed, answered | ByeResponse came | closed, confirmed\n\
                     Open | ByeSignal came | closed, as if the peer had\n";
        let ways = ways(table).unwrap();
        let key = ("ByeCrossed".to_owned(), CONFIRMED.to_owned());
        assert_eq!(ways.get(&key), Some(&vec!["ByeResponse came".to_owned()]));
        let key = ("Open".to_owned(), CLOSED.to_owned());
        let end = vec!["the connection ends".to_owned()];
        assert_eq!(ways.get(&key), Some(&end), "no other way out is drawn");
    }

    #[test]
    fn what_an_arrow_says_names_nothing_twice() {
        let events =
            |list: &[&str]| words_of(&list.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(
            events(&["A sent", "A came", "B came"]),
            "A sent and came and B came"
        );
        assert_eq!(events(&["the connection ends"]), "the connection ends");
    }

    #[test]
    fn a_line_begins_and_ends_at_the_boxes() {
        assert_eq!(edge((0.0, 0.0), (0.0, 100.0)), (0.0, 20.0));
        assert_eq!(edge((0.0, 0.0), (200.0, 0.0)), (67.0, 0.0));
    }
}
