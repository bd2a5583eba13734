//! The body of a message: bytes that only the applications understand.
//!
//! Messages own one of these. It never grows beyond what the wire's length field can say, and an
//! append that does not fit changes nothing.

use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, Range};

use bytemuck::{AnyBitPattern, NoUninit};

use crate::{MAX_BODY_LEN, Status};

/// At most [`MAX_BODY_LEN`] bytes.
///
/// # Plain data
/// [`Body::append_value`], [`Body::append_slice`], [`Body::read_value`] and [`Body::read_values`]
/// copy plain data as it lies in memory: fast, and in the byte order of this host. Between hosts
/// that may differ, the portable way is to write numbers as bytes of a fixed order:
/// `body.append(&number.to_be_bytes())`, and to read them by `from_be_bytes`.
///
/// ```
/// use tofu_msg::Body;
///
/// let mut body = Body::new();
/// body.append(b"hi")?;
/// body.append_value(&[1u32, 2])?;
/// assert_eq!(body.len(), 10);
/// assert_eq!(body.read_value::<u32>(6)?, 2);
/// # Ok::<(), tofu_msg::BodyError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Body {
    /// Invariant: at most `MAX_BODY_LEN` long.
    bytes: Vec<u8>,
}

impl Body {
    /// An empty body; allocates nothing.
    #[inline]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Takes a buffer as the body without copying it.
    ///
    /// # Errors
    /// [`BodyError::TooLong`] beyond [`MAX_BODY_LEN`]; the buffer is dropped then.
    #[inline]
    pub fn from_vec(bytes: Vec<u8>) -> Result<Body, BodyError> {
        BodyError::check_len(bytes.len())?;
        Ok(Self { bytes })
    }

    /// The buffer, uncopied.
    #[inline]
    pub fn into_vec(self) -> Vec<u8> {
        self.bytes
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// [`BodyError::TooLong`] if the body would outgrow [`MAX_BODY_LEN`]; it is unchanged then.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        BodyError::check_len(self.bytes.len().saturating_add(bytes.len()))?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Puts these bytes in place of the body.
    ///
    /// # Errors
    /// [`BodyError::TooLong`] beyond [`MAX_BODY_LEN`]; the body is unchanged then.
    #[inline]
    pub fn replace(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        BodyError::check_len(bytes.len())?;
        self.load(bytes);
        Ok(())
    }

    /// Adds a plain value as it lies in memory, in this host's byte order.
    ///
    /// # Errors
    /// As [`Body::append`].
    #[inline]
    pub fn append_value<T: NoUninit>(&mut self, value: &T) -> Result<(), BodyError> {
        self.append(bytemuck::bytes_of(value))
    }

    /// Adds plain values one behind the other as they lie in memory, in this host's byte order.
    ///
    /// # Errors
    /// As [`Body::append`].
    #[inline]
    pub fn append_slice<T: NoUninit>(&mut self, values: &[T]) -> Result<(), BodyError> {
        self.append(bytemuck::cast_slice(values))
    }

    /// Copies out the plain value that starts `offset` bytes into the body, aligned or not.
    ///
    /// # Errors
    /// [`BodyError::OutOfBounds`] if the body ends before the value does.
    #[inline]
    pub fn read_value<T: AnyBitPattern>(&self, offset: usize) -> Result<T, BodyError> {
        let range = self.range(offset, Some(size_of::<T>()))?;
        Ok(bytemuck::pod_read_unaligned(&self.bytes[range]))
    }

    /// Copies out `count` plain values that stand one behind the other from `offset` bytes on,
    /// aligned or not. A type of size zero is a compile-time error.
    ///
    /// # Errors
    /// [`BodyError::OutOfBounds`] if the body ends before the last value does.
    pub fn read_values<T: AnyBitPattern>(
        &self,
        offset: usize,
        count: usize,
    ) -> Result<Vec<T>, BodyError> {
        const {
            assert!(size_of::<T>() > 0, "a type of size zero cannot be counted");
        }
        let range = self.range(offset, count.checked_mul(size_of::<T>()))?;
        let values = self.bytes[range].chunks_exact(size_of::<T>());
        Ok(values.map(bytemuck::pod_read_unaligned).collect())
    }

    /// Removes everything and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, to change them in place.
    #[inline]
    pub fn as_mut_bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no byte.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
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

    /// Puts bytes in place of the body that a length field has measured.
    #[inline]
    pub(crate) fn load(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.extend(bytes);
    }

    /// Adds bytes that a length field has measured.
    #[inline]
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        debug_assert!(self.bytes.len() <= MAX_BODY_LEN);
    }

    /// Length as its field on the wire says it.
    #[inline]
    pub(crate) fn wire_len(&self) -> u16 {
        debug_assert!(self.bytes.len() <= MAX_BODY_LEN);
        u16::try_from(self.bytes.len()).unwrap_or(u16::MAX)
    }

    /// The place of `len` bytes from `offset` on; no `len` stands for one beyond all numbers.
    #[inline]
    fn range(&self, offset: usize, len: Option<usize>) -> Result<Range<usize>, BodyError> {
        match len.and_then(|len| offset.checked_add(len)) {
            Some(end) if end <= self.bytes.len() => Ok(offset..end),
            _ => Err(BodyError::OutOfBounds {
                offset,
                len: len.unwrap_or(usize::MAX),
                body_len: self.bytes.len(),
            }),
        }
    }
}

impl Deref for Body {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Body {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl TryFrom<Vec<u8>> for Body {
    type Error = BodyError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, BodyError> {
        Self::from_vec(bytes)
    }
}

impl fmt::Debug for Body {
    /// The length and the first bytes: a whole body would bury everything else in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 32;
        let (shown, more) = match self.bytes.get(..SHOWN) {
            Some(start) if self.bytes.len() > SHOWN => (start, ".."),
            _ => (&self.bytes[..], ""),
        };
        write!(
            f,
            "Body({} bytes, \"{}\"{more})",
            self.bytes.len(),
            shown.escape_ascii()
        )
    }
}

/// Writes append. One that does not fit whole is an error and appends nothing, so `write` never
/// takes a part.
#[cfg(feature = "std")]
impl std::io::Write for Body {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.append(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Why bytes did not go into a body, or a value did not come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The body would not fit its length field.
    #[error("a body of {len} bytes exceeds {limit}")]
    TooLong {
        /// The length that the body would have in bytes.
        len: usize,
        /// The longest allowed: [`MAX_BODY_LEN`].
        limit: usize,
    },
    /// The body ends before what was to be read.
    #[error("{len} bytes at {offset} reach beyond a body of {body_len} bytes")]
    OutOfBounds {
        /// Where the reading was to start, in bytes from the body's first.
        offset: usize,
        /// How many bytes were to be read; `usize::MAX` also where no number says it.
        len: usize,
        /// How many bytes the body has.
        body_len: usize,
    },
}

impl BodyError {
    /// The status that says the same: [`Status::INVALID_BODY_LEN`].
    pub const fn status(&self) -> Status {
        match self {
            BodyError::TooLong { .. } | BodyError::OutOfBounds { .. } => Status::INVALID_BODY_LEN,
        }
    }

    #[inline]
    fn check_len(len: usize) -> Result<(), BodyError> {
        let limit = MAX_BODY_LEN;
        if len > limit {
            Err(BodyError::TooLong { len, limit })
        } else {
            Ok(())
        }
    }
}

#[cfg(feature = "std")]
impl From<BodyError> for std::io::Error {
    fn from(error: BodyError) -> Self {
        let kind = match error {
            BodyError::TooLong { .. } => std::io::ErrorKind::FileTooLarge,
            BodyError::OutOfBounds { .. } => std::io::ErrorKind::UnexpectedEof,
        };
        std::io::Error::new(kind, error)
    }
}
