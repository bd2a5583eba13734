//! What is written into every body, and looked for in every body that comes.
//!
//! A number at each end, so that a lost, doubled, reordered, cut or mixed up message is found at a
//! price that is the same for all.

use anyhow::{Result, bail, ensure};

/// The number of the message on its connection, whether it is the last one; at the end the number
/// with all bits turned over.
const NUMBER: std::ops::Range<usize> = 0..8;
const LAST: usize = 8;
const TRAILER_LEN: usize = 8;

/// What fills the rest.
const FILLING: u8 = 0x5A;

/// The shortest body that has room for it all.
const SHORTEST: usize = 24;

/// A body to be stamped again and again.
pub(crate) fn blank(size: usize) -> Result<Vec<u8>> {
    ensure!(size >= SHORTEST, "a body of {size} bytes is too short");
    Ok(vec![FILLING; size])
}

pub(crate) fn write(body: &mut [u8], number: u64, is_last: bool) {
    let trailer = body.len() - TRAILER_LEN;
    body[NUMBER].copy_from_slice(&number.to_le_bytes());
    body[LAST] = u8::from(is_last);
    body[trailer..].copy_from_slice(&(!number).to_le_bytes());
}

/// Checks size and number. Returns whether it is the last one.
pub(crate) fn check(body: &[u8], size: usize, number: u64) -> Result<bool> {
    if body.len() != size {
        bail!("a body of {} bytes instead of {size}", body.len());
    }
    let trailer = body.len() - TRAILER_LEN;
    if body[NUMBER] != number.to_le_bytes() || body[trailer..] != (!number).to_le_bytes() {
        bail!("not message {number}, but {:?}", &body[..SHORTEST]);
    }
    Ok(body[LAST] != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_and_nothing_else() {
        let mut body = blank(64).unwrap();
        write(&mut body, 7, false);
        assert!(!check(&body, 64, 7).unwrap());
        assert!(check(&body, 64, 8).is_err());
        assert!(check(&body[..63], 64, 7).is_err());
        body[63] ^= 1;
        assert!(check(&body, 64, 7).is_err());
        write(&mut body, 9, true);
        assert!(check(&body, 64, 9).unwrap());
    }
}
