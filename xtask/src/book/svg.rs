//! A small kit for drawing: boxes, arrows and lines of text, as SVG.
//!
//! The pictures stand on a ground of their own and follow the system's choice of light or dark, so
//! that they can be read on any page. They are about as wide as a telephone, and so are read there too.

use std::fmt::Write as _;

/// Of every picture; letters of 14 stay legible on a screen of 360.
pub(super) const WIDTH: f64 = 460.0;

const STYLE: &str = "\
.ground{fill:#fff;stroke:#d5dce2}.box{fill:#eaf1f6;stroke:#5b6b7a}.mark{fill:#f6e7e2;stroke:#b5482a}\
.line{stroke:#5b6b7a;fill:none;stroke-width:1.5}.head{fill:#5b6b7a}\
text{fill:#1d2733;font:14px sans-serif}.small{font-size:13px;fill:#43525f}.bold{font-weight:bold}\
@media(prefers-color-scheme:dark){.ground{fill:#1e2429;stroke:#3a444d}.box{fill:#2b3741;stroke:#93a3b1}\
.mark{fill:#472c24;stroke:#e0866a}.line{stroke:#93a3b1}.head{fill:#93a3b1}text{fill:#e8eef3}\
.small{fill:#b9c5cf}}";

/// Where a text stands in relation to its point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        }
    }
}

/// A point, in units of which the picture is [`WIDTH`] wide.
pub(super) type Point = (f64, f64);

#[derive(Default)]
pub(super) struct Canvas {
    body: String,
}

impl Canvas {
    /// A box with its upper left corner at `at`.
    pub(super) fn rectangle(&mut self, class: &str, (x, y): Point, (width, height): Point) {
        self.push(&format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\"/>"
        ));
    }

    /// Lines of text, the baseline of the first at `at`.
    pub(super) fn text(&mut self, class: &str, anchor: Anchor, (x, y): Point, lines: &[&str]) {
        for (line, down) in lines.iter().zip(0_u8..) {
            self.push(&format!(
                "<text class=\"{class}\" text-anchor=\"{}\" x=\"{x}\" y=\"{}\">{}</text>",
                anchor.name(),
                y + 17.0 * f64::from(down),
                escaped(line)
            ));
        }
    }

    /// A straight arrow.
    pub(super) fn arrow(&mut self, (x1, y1): Point, (x2, y2): Point) {
        let angle = (y2 - y1).atan2(x2 - x1).to_degrees();
        self.push(&format!(
            "<path class=\"line\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>\
             <path class=\"head\" d=\"M0 0L-10 -4.5L-10 4.5Z\" \
             transform=\"translate({x2:.1} {y2:.1})rotate({angle:.1})\"/>"
        ));
    }

    /// The whole picture.
    pub(super) fn finish(self, title: &str, height: f64) -> String {
        let title = escaped(title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
             role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
             <rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n{}</svg>\n",
            WIDTH - 1.0,
            height - 1.0,
            self.body
        )
    }

    fn push(&mut self, element: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

/// The picture as an address of itself: rustdoc copies no files.
pub(super) fn address(svg: &str) -> String {
    let mut address = "data:image/svg+xml,".to_owned();
    for byte in svg.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:;,=".contains(&byte) {
            address.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_page_is_escaped() {
        let mut canvas = Canvas::default();
        canvas.text("small", Anchor::End, (1.0, 2.0), &["a<b", "c&d"]);
        let picture = canvas.finish("a \"title\"", 50.0);
        assert!(
            picture.contains(">a&lt;b<") && picture.contains("y=\"19\">c&amp;d<"),
            "{picture}"
        );
        assert!(
            picture.contains("aria-label=\"a &quot;title&quot;\""),
            "{picture}"
        );
    }

    #[test]
    fn an_address_has_no_blanks_or_brackets() {
        assert_eq!(
            address("<a b=\"(1)\">"),
            "data:image/svg+xml,%3Ca%20b=%22%281%29%22%3E"
        );
    }
}
