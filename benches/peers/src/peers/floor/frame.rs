//! Frames of the bare program: a header as long as tofu's, of which only the length is used.

pub(super) const HEADER_LEN: usize = 16;

/// The longest frame.
pub(super) const MAX_LEN: usize = HEADER_LEN + 65_535;

/// Appends a frame with this body.
pub(super) fn encode(body: &[u8], out: &mut Vec<u8>) {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(&body.len().to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(body);
}

/// The length of the frame that begins there, if its header is whole.
pub(super) fn len(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(..HEADER_LEN)?.first_chunk()?;
    Some(HEADER_LEN + usize::from_le_bytes(*length))
}
