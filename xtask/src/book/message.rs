//! The layout of a message: the header in rows of four bytes, and what follows it.

use super::svg::{Anchor, Canvas, Point};

/// Offset and length in bytes, name, and what more there is to say.
const HEADER: [(u8, u8, &str, &str); 6] = [
    (0, 2, "channel number", "the sender's own"),
    (2, 1, "op code", "and bits"),
    (3, 1, "status", ""),
    (4, 8, "message id", "ties an answer to its question"),
    (12, 2, "length of the text headers", ""),
    (14, 2, "length of the body", ""),
];

/// The first bit of byte 2, counted from the lowest, the number of bits, and what they are.
const BITS: [(u8, u8, &str); 4] = [
    (0, 4, "op code"),
    (4, 1, "origin"),
    (5, 1, "more"),
    (6, 2, "zero"),
];

const LEFT: f64 = 44.0;
const TOP: f64 = 34.0;
const BYTE: f64 = 100.0;
const ROW: f64 = 46.0;

pub(super) fn draw() -> String {
    let mut canvas = Canvas::default();
    canvas.text(
        "small",
        Anchor::Middle,
        (LEFT + 2.0 * BYTE, 22.0),
        &["16 bytes of header, big endian"],
    );
    for (offset, length, name, note) in HEADER {
        field(&mut canvas, offset, length, name, note);
    }
    let y = TOP + 4.0 * ROW + 8.0;
    part(
        &mut canvas,
        y,
        "16",
        "text headers",
        "lines of name:value, 0 to 65535 bytes",
    );
    part(
        &mut canvas,
        y + 62.0,
        "",
        "body",
        "0 to 65535 bytes of yours",
    );
    bits(&mut canvas, y + 156.0);
    canvas.finish("The layout of a message", y + 212.0)
}

fn field(canvas: &mut Canvas, offset: u8, length: u8, name: &str, note: &str) {
    let (row, column) = (f64::from(offset / 4), f64::from(offset % 4));
    let at = (LEFT + column * BYTE, TOP + row * ROW);
    let rows = f64::from(length.div_ceil(4));
    let size = (f64::from(length.min(4)) * BYTE, rows * ROW);
    canvas.rectangle("box", at, size);
    labelled(canvas, at, size, name, note);
    if offset % 4 == 0 {
        let offset = offset.to_string();
        canvas.text("small", Anchor::End, (LEFT - 8.0, at.1 + 18.0), &[&offset]);
    }
}

fn part(canvas: &mut Canvas, y: f64, offset: &str, name: &str, note: &str) {
    let (at, size) = ((LEFT, y), (4.0 * BYTE, 54.0));
    canvas.rectangle("mark", at, size);
    labelled(canvas, at, size, name, note);
    canvas.text("small", Anchor::End, (LEFT - 8.0, y + 18.0), &[offset]);
}

fn labelled(canvas: &mut Canvas, at: Point, size: Point, name: &str, note: &str) {
    let lines = if note.is_empty() { 1.0 } else { 2.0 };
    let x = at.0 + size.0 / 2.0;
    let y = at.1 + size.1 / 2.0 + 5.0 - 8.5 * (lines - 1.0);
    canvas.text("", Anchor::Middle, (x, y), &[name]);
    canvas.text("small", Anchor::Middle, (x, y + 17.0), &[note]);
}

/// Byte 2 by its bits, the highest first.
fn bits(canvas: &mut Canvas, y: f64) {
    const BIT: f64 = 50.0;
    canvas.text(
        "small",
        Anchor::Middle,
        (LEFT + 4.0 * BIT, y - 10.0),
        &["byte 2, from its highest bit"],
    );
    for (first, count, name) in BITS {
        let at = (LEFT + f64::from(8 - first - count) * BIT, y);
        canvas.rectangle("box", at, (f64::from(count) * BIT, 36.0));
        let middle = at.0 + f64::from(count) * BIT / 2.0;
        canvas.text("small", Anchor::Middle, (middle, y + 23.0), &[name]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_fill_the_header_and_the_bits_their_byte() {
        let end = HEADER.iter().fold(0, |end, &(offset, length, ..)| {
            assert_eq!(offset, end);
            offset + length
        });
        assert_eq!(end, 16);
        let end = BITS.iter().fold(0, |end, &(first, count, _)| {
            assert_eq!(first, end);
            first + count
        });
        assert_eq!(end, 8);
    }
}
