//! Owned text headers: `name:value` lines that a message carries beside its body.
//!
//! Messages own one of these; the reading side is in `view`. Whatever goes through `append` or
//! `insert_first` is read back as it was given; raw blocks are kept byte for byte. The block never
//! grows beyond what the wire's length field can say.

mod error;
mod view;

use alloc::vec::Vec;
use core::fmt;
use core::str::Utf8Error;

pub use error::TextHeaderError;
pub use view::{TextHeader, TextHeaderValues, TextHeadersIter, TextHeadersRef};

use crate::MAX_TEXT_HEADERS_LEN;
use view::{LINE_END, Lines, NAME_END};

/// A block of text headers, at most [`MAX_TEXT_HEADERS_LEN`] bytes long.
///
/// Names are case sensitive, duplicates keep their order, and neither names nor values need be
/// UTF-8.
///
/// ```
/// use tofu_msg::TextHeaders;
///
/// let mut headers = TextHeaders::new();
/// headers.append("Job-ID", "12345")?;
/// headers.append("Progress", "[1:10]")?;
/// assert_eq!(headers.get("Job-ID"), Some(&b"12345"[..]));
/// assert_eq!(headers.as_bytes(), b"Job-ID:12345\r\nProgress:[1:10]\r\n");
/// # Ok::<(), tofu_msg::TextHeaderError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TextHeaders {
    /// Invariant: at most `MAX_TEXT_HEADERS_LEN` long. Otherwise any bytes.
    bytes: Vec<u8>,
}

impl TextHeaders {
    /// An empty block; allocates nothing.
    #[inline]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Adds a line behind the others. The name is trimmed of blanks, tabs, CR and LF first. Where
    /// a raw block lacks its last line end, that is added too, so that the lines do not run
    /// together. (Behind a raw line with an empty name nothing is read any more, so neither is
    /// this.)
    ///
    /// # Errors
    /// The block is unchanged, and the error is
    /// - [`TextHeaderError::EmptyName`] for a name with nothing in it,
    /// - [`TextHeaderError::InvalidName`] for `:`, CR or LF in the name,
    /// - [`TextHeaderError::InvalidValue`] for CR or LF in the value, or a blank or tab at one of
    ///   its ends,
    /// - [`TextHeaderError::TooLong`] if the block would outgrow [`MAX_TEXT_HEADERS_LEN`].
    pub fn append(
        &mut self,
        name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), TextHeaderError> {
        let name = error::checked_name(name.as_ref())?;
        let value = error::checked_value(value.as_ref())?;
        let is_at_line_start = self.bytes.is_empty() || self.bytes.ends_with(LINE_END);
        let missing_end = if is_at_line_start { &[][..] } else { LINE_END };
        let line = [missing_end, name, NAME_END, value, LINE_END];
        self.reserve(line.iter().map(|part| part.len()).sum())?;
        for part in line {
            self.bytes.extend_from_slice(part);
        }
        Ok(())
    }

    /// Adds a line in front of all others, by the rules of [`TextHeaders::append`].
    ///
    /// # Errors
    /// As [`TextHeaders::append`]; the block is unchanged.
    pub fn insert_first(
        &mut self,
        name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), TextHeaderError> {
        let name = error::checked_name(name.as_ref())?;
        let value = error::checked_value(value.as_ref())?;
        let line = [name, NAME_END, value, LINE_END];
        let line_len = line.iter().map(|part| part.len()).sum();
        self.reserve(line_len)?;
        for part in line {
            self.bytes.extend_from_slice(part);
        }
        self.bytes.rotate_right(line_len);
        Ok(())
    }

    /// Adds bytes behind the block, unchecked but for their number: for blocks received so.
    ///
    /// # Errors
    /// [`TextHeaderError::TooLong`] if the block would outgrow [`MAX_TEXT_HEADERS_LEN`]; it is
    /// unchanged then.
    #[inline]
    pub fn append_raw(&mut self, block: &[u8]) -> Result<(), TextHeaderError> {
        self.reserve(block.len())?;
        self.bytes.extend_from_slice(block);
        Ok(())
    }

    /// Puts these bytes in place of the whole block, unchecked but for their number.
    ///
    /// # Errors
    /// [`TextHeaderError::TooLong`] beyond [`MAX_TEXT_HEADERS_LEN`]; the block is unchanged then.
    #[inline]
    pub fn replace_raw(&mut self, block: &[u8]) -> Result<(), TextHeaderError> {
        TextHeaderError::check_len(block.len())?;
        self.bytes.clear();
        self.bytes.extend_from_slice(block);
        Ok(())
    }

    /// Removes every line of exactly this name, also behind the point where reading ends, and
    /// says how many there were. All other bytes stay as they are.
    pub fn remove_all(&mut self, name: impl AsRef<[u8]>) -> usize {
        let name = name.as_ref();
        if name.is_empty() {
            return 0;
        }
        let mut kept = 0;
        let mut read = 0;
        let mut removed = 0;
        while let Some((line, whole_len)) = Lines::first(&self.bytes[read..]) {
            let whole = read..read + whole_len;
            read = whole.end;
            if TextHeader::split(line).name == name {
                removed += 1;
            } else {
                self.bytes.copy_within(whole, kept);
                kept += whole_len;
            }
        }
        self.bytes.truncate(kept);
        removed
    }

    /// The block as it goes on the wire.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length of the block in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the block has no byte.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Removes everything and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Bytes that fit without another allocation.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives memory back until the capacity is at most `max_capacity`, or as much as the content
    /// needs.
    pub fn shrink_to(&mut self, max_capacity: usize) {
        self.bytes.shrink_to(max_capacity);
    }

    /// The same block, borrowed, for reading.
    #[inline]
    pub fn view(&self) -> TextHeadersRef<'_> {
        TextHeadersRef::new(&self.bytes)
    }

    /// The lines in order; see [`TextHeadersRef::iter`] for the rules.
    #[inline]
    pub fn iter(&self) -> TextHeadersIter<'_> {
        self.view().iter()
    }

    /// The value of the first line of exactly this name.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.view().get(name)
    }

    /// The values of all lines of exactly this name, in order.
    pub fn get_all<'a, 'n>(
        &'a self,
        name: &'n (impl AsRef<[u8]> + ?Sized),
    ) -> TextHeaderValues<'a, 'n> {
        self.view().get_all(name)
    }

    /// The value of the first line of exactly this name as text, with an error inside where it is
    /// not UTF-8.
    pub fn get_str(&self, name: impl AsRef<[u8]>) -> Option<Result<&str, Utf8Error>> {
        self.view().get_str(name)
    }

    /// Puts a block in place of this one that a length field has measured.
    #[inline]
    pub(crate) fn load(&mut self, block: TextHeadersRef<'_>) {
        self.bytes.clear();
        // Mostly there are none, and even a copy of nothing is a call.
        if !block.is_empty() {
            self.extend(block.as_bytes());
        }
    }

    /// Adds bytes that a length field has measured.
    #[inline]
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        debug_assert!(self.bytes.len() <= MAX_TEXT_HEADERS_LEN);
    }

    /// Length of the block as its field on the wire says it.
    #[inline]
    pub(crate) fn wire_len(&self) -> u16 {
        debug_assert!(self.bytes.len() <= MAX_TEXT_HEADERS_LEN);
        u16::try_from(self.bytes.len()).unwrap_or(u16::MAX)
    }

    /// Makes room for more bytes, or says that the block would get too long.
    fn reserve(&mut self, more: usize) -> Result<(), TextHeaderError> {
        TextHeaderError::check_len(self.bytes.len().saturating_add(more))?;
        self.bytes.reserve(more);
        Ok(())
    }
}

impl<'a> IntoIterator for &'a TextHeaders {
    type Item = TextHeader<'a>;
    type IntoIter = TextHeadersIter<'a>;

    fn into_iter(self) -> TextHeadersIter<'a> {
        self.iter()
    }
}

impl AsRef<[u8]> for TextHeaders {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for TextHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.view(), f)
    }
}
