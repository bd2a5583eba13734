//! The walk of a message: down on one side, across, and up on the other.

use super::svg::{Anchor, Canvas};

/// Each step of the sender, from above, and of the receiver beside it: a heading and what happens.
const STEPS: [[(&str, [&str; 2]); 2]; 4] = [
    [
        ("post", ["checked; refused, or taken:", "it never waits"]),
        ("wait_receive", ["the next message,", "out of the pool"]),
    ],
    [
        (
            "outbox of the channel",
            ["its frame, behind the others;", "the message is free again"],
        ),
        (
            "inbox of the group",
            ["whole frames, many at once,", "of all its channels"],
        ),
    ],
    [
        (
            "engine's thread",
            ["writes what is there, one", "call per channel and turn"],
        ),
        (
            "engine's thread",
            ["reads, and judges each", "header; not the body"],
        ),
    ],
    [
        ("kernel", ["what is wholly here", "does not come back"]),
        ("kernel", ["what is here is read", "also after an end"]),
    ],
];

/// The left sides of the two columns.
const COLUMNS: [f64; 2] = [12.0, 240.0];
const BOX: (f64, f64) = (208.0, 74.0);
const TOP: f64 = 40.0;
const STEP: f64 = 104.0;

pub(super) fn draw() -> String {
    let mut canvas = Canvas::default();
    for (x, name) in COLUMNS
        .into_iter()
        .zip(["your program", "the peer's program"])
    {
        canvas.text("bold", Anchor::Middle, (x + BOX.0 / 2.0, 26.0), &[name]);
    }
    for (row, step) in (0_u8..).zip(STEPS) {
        let y = TOP + STEP * f64::from(row);
        for (x, (name, lines)) in COLUMNS.into_iter().zip(step) {
            let middle = x + BOX.0 / 2.0;
            canvas.rectangle(if row == 0 { "mark" } else { "box" }, (x, y), BOX);
            canvas.text("bold", Anchor::Middle, (middle, y + 22.0), &[name]);
            canvas.text("small", Anchor::Middle, (middle, y + 42.0), &lines);
        }
        if row > 0 {
            between(&mut canvas, y);
        }
    }
    let bottom = TOP + 3.0 * STEP + BOX.1;
    let across = bottom - BOX.1 / 2.0;
    canvas.arrow((COLUMNS[0] + BOX.0, across), (COLUMNS[1], across));
    let note = [
        "Full: post refuses, the message in the error.",
        "Broken: what is not wholly in the kernel comes",
        "back by wait_receive, before the channel's last word.",
    ];
    canvas.text("small", Anchor::Middle, (230.0, bottom + 26.0), &note);
    canvas.finish(
        "From post to wait_receive: the walk of a message",
        bottom + 74.0,
    )
}

/// Down on the left, up on the right, into and out of the row that begins at `y`.
fn between(canvas: &mut Canvas, y: f64) {
    let [left, right] = COLUMNS.map(|x| x + BOX.0 / 2.0);
    let above = y - (STEP - BOX.1);
    canvas.arrow((left, above), (left, y));
    canvas.arrow((right, y), (right, above));
}
