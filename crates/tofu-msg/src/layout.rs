//! The byte layout of a frame: the one place that knows it.
//!
//! [`BinaryHeader`](crate::BinaryHeader) reads and writes its fields through [`RawHeader`]; nothing
//! else in the workspace may count header bytes. This module judges nothing: every one of the
//! 2^128 possible headers has a `RawHeader`.
//!
//! A frame is `binary header ++ text headers ++ body`, all numbers big endian:
//!
//! ```text
//! offset  size  field
//!      0     2  channel number, the sender's own
//!      2     1  bits 0-3 op code, bit 4 origin (1 = engine), bit 5 more, bits 6-7 unused
//!      3     1  status
//!      4     8  message id
//!     12     2  length of the text headers in bytes
//!     14     2  length of the body in bytes
//! ```

/// Length of the binary header in bytes.
pub const HEADER_LEN: usize = 16;
/// Longest block of text headers in bytes; what its length field can say.
pub const MAX_TEXT_HEADERS_LEN: usize = u16::MAX as usize;
/// Longest body in bytes; what its length field can say.
pub const MAX_BODY_LEN: usize = u16::MAX as usize;
/// Longest frame in bytes: header, text headers and body.
pub const MAX_FRAME_LEN: usize = HEADER_LEN + MAX_TEXT_HEADERS_LEN + MAX_BODY_LEN;

const CHANNEL_NUMBER_AT: usize = 0;
const FLAGS_AT: usize = CHANNEL_NUMBER_AT + size_of::<u16>();
const STATUS_AT: usize = FLAGS_AT + size_of::<u8>();
const MESSAGE_ID_AT: usize = STATUS_AT + size_of::<u8>();
const TEXT_HEADERS_LEN_AT: usize = MESSAGE_ID_AT + size_of::<u64>();
const BODY_LEN_AT: usize = TEXT_HEADERS_LEN_AT + size_of::<u16>();

const _: () = {
    assert!(FLAGS_AT == 2 && STATUS_AT == 3 && MESSAGE_ID_AT == 4);
    assert!(TEXT_HEADERS_LEN_AT == 12 && BODY_LEN_AT == 14);
    assert!(BODY_LEN_AT + size_of::<u16>() == HEADER_LEN);
    assert!(size_of::<RawHeader>() == HEADER_LEN && align_of::<RawHeader>() == 1);
    // The message id lies half in each word; `from_fields` and `message_id` rely on it.
    assert!(MESSAGE_ID_AT + size_of::<u32>() == WORD_LEN);
    assert!(MAX_FRAME_LEN == 131_086);
};

const WORD_LEN: usize = size_of::<u64>();
const BITS_PER_BYTE: usize = 8;
const HALF_WORD: usize = WORD_LEN / 2 * BITS_PER_BYTE;
const CHANNEL_NUMBER_SHIFT: usize = shift(CHANNEL_NUMBER_AT, size_of::<u16>());
const FLAGS_SHIFT: usize = shift(FLAGS_AT, size_of::<u8>());
const STATUS_SHIFT: usize = shift(STATUS_AT, size_of::<u8>());
const TEXT_HEADERS_LEN_SHIFT: usize = shift(TEXT_HEADERS_LEN_AT, size_of::<u16>());
const BODY_LEN_SHIFT: usize = shift(BODY_LEN_AT, size_of::<u16>());

/// How far right a field's last bit lies from the end of the big-endian word that holds it.
const fn shift(offset: usize, size: usize) -> usize {
    (WORD_LEN - offset % WORD_LEN - size) * BITS_PER_BYTE
}

/// The sixteen bytes of a binary header as they stand on the wire, with a reader per field.
///
/// Nothing is checked: use [`BinaryHeader::decode`](crate::BinaryHeader::decode) for a header
/// whose op code exists.
///
/// ```
/// use tofu_msg::RawHeader;
///
/// let raw = RawHeader::new(*b"\x00\x07\x20\x00\x00\x00\x00\x00\x00\x00\x00\x2a\x00\x00\x00\x05");
/// assert_eq!(raw.channel_number(), 7);
/// assert_eq!(raw.flags(), RawHeader::MORE_BIT);
/// assert_eq!(raw.message_id(), 42);
/// assert_eq!(raw.body_len(), 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct RawHeader([u8; HEADER_LEN]);

impl RawHeader {
    /// Bits of the flags byte that hold the op code.
    pub const OP_CODE_MASK: u8 = 0b0000_1111;
    /// Bit of the flags byte that is set when the sender's engine speaks.
    pub const ENGINE_ORIGIN_BIT: u8 = 0b0001_0000;
    /// Bit of the flags byte that is set when more messages of the same operation follow.
    pub const MORE_BIT: u8 = 0b0010_0000;

    /// Takes the bytes as they are.
    #[inline]
    pub const fn new(bytes: [u8; HEADER_LEN]) -> Self {
        Self(bytes)
    }

    /// Builds the bytes from the fields' values.
    #[inline]
    pub(crate) const fn from_fields(
        channel_number: u16,
        flags: u8,
        status: u8,
        message_id: u64,
        text_headers_len: u16,
        body_len: u16,
    ) -> Self {
        let first = (channel_number as u64) << CHANNEL_NUMBER_SHIFT
            | (flags as u64) << FLAGS_SHIFT
            | (status as u64) << STATUS_SHIFT
            | message_id >> HALF_WORD;
        let second = message_id << HALF_WORD
            | (text_headers_len as u64) << TEXT_HEADERS_LEN_SHIFT
            | (body_len as u64) << BODY_LEN_SHIFT;
        Self(bytemuck::must_cast([first.to_be(), second.to_be()]))
    }

    /// The bytes as they stand on the wire.
    #[inline]
    pub const fn as_bytes(&self) -> &[u8; HEADER_LEN] {
        &self.0
    }

    /// The sender's own channel number; a receiver puts its own in place of it.
    #[inline]
    pub const fn channel_number(&self) -> u16 {
        (self.words()[0] >> CHANNEL_NUMBER_SHIFT & 0xffff) as u16
    }

    /// Op code, origin and more, and the two unused bits, as one byte.
    #[inline]
    pub const fn flags(&self) -> u8 {
        (self.words()[0] >> FLAGS_SHIFT & 0xff) as u8
    }

    /// The status byte.
    #[inline]
    pub const fn status(&self) -> u8 {
        (self.words()[0] >> STATUS_SHIFT & 0xff) as u8
    }

    /// The message id.
    #[inline]
    pub const fn message_id(&self) -> u64 {
        let [first, second] = self.words();
        first << HALF_WORD | second >> HALF_WORD
    }

    /// Length of the text headers in bytes.
    #[inline]
    pub const fn text_headers_len(&self) -> u16 {
        (self.words()[1] >> TEXT_HEADERS_LEN_SHIFT & 0xffff) as u16
    }

    /// Length of the body in bytes.
    #[inline]
    pub const fn body_len(&self) -> u16 {
        (self.words()[1] >> BODY_LEN_SHIFT & 0xffff) as u16
    }

    /// Both halves as numbers: two loads and two byte swaps, whatever is then read from them.
    #[inline]
    const fn words(&self) -> [u64; 2] {
        let [first, second]: [u64; 2] = bytemuck::must_cast(self.0);
        [u64::from_be(first), u64::from_be(second)]
    }
}
