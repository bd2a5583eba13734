//! The limits that are counted in bytes, and the growth of a body within them.

use super::error::StreamFault;
use super::limits::{StreamLimit, StreamLimits};
use super::table::exceeded;

/// The limit that so many bytes of one stream exceed.
pub(super) fn why_too_long(
    bytes: u64,
    is_read: bool,
    limits: &StreamLimits,
) -> Option<StreamFault> {
    let body_bytes = limits.body_bytes as u64;
    if bytes > limits.stream_bytes {
        Some(exceeded(
            StreamLimit::StreamBytes,
            limits.stream_bytes,
            bytes,
        ))
    } else if !is_read && bytes > body_bytes {
        Some(exceeded(StreamLimit::BodyBytes, body_bytes, bytes))
    } else {
        None
    }
}

/// The limit that holding so many bytes more exceeds.
pub(super) fn why_too_much(held: usize, more: usize, limits: &StreamLimits) -> Option<StreamFault> {
    let allowed = limits.held_bytes;
    let would_be = held.saturating_add(more);
    (would_be > allowed).then(|| exceeded(StreamLimit::HeldBytes, allowed as u64, would_be as u64))
}

/// Adds a part to a body and says by how much its memory grew: twofold where the limits allow it, as
/// much as needed where they only allow that.
pub(super) fn append(
    body: &mut Vec<u8>,
    part: &[u8],
    held: usize,
    limits: &StreamLimits,
) -> Result<usize, StreamFault> {
    let before = body.capacity();
    let needed = body.len() + part.len();
    if needed > before {
        let twofold = needed.max(before.saturating_mul(2).min(limits.body_bytes));
        let others = held - before.min(held);
        let fits = |capacity: usize| why_too_much(others, capacity, limits);
        let capacity = match fits(twofold) {
            None => twofold,
            Some(_) => fits(needed).map_or(Ok(needed), Err)?,
        };
        body.reserve_exact(capacity - body.len());
    }
    body.extend_from_slice(part);
    Ok(body.capacity() - before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_grows_twofold_or_as_the_limits_allow() {
        let limits = StreamLimits::default().body_bytes(100).held_bytes(200);
        let mut body = Vec::new();
        assert_eq!(append(&mut body, &[1; 10], 0, &limits), Ok(10));
        assert_eq!(append(&mut body, &[2; 5], 10, &limits), Ok(10), "twofold");
        assert_eq!(append(&mut body, &[3; 5], 20, &limits), Ok(0), "it fits");
        assert_eq!(
            append(&mut body, &[4; 21], 20, &limits),
            Ok(21),
            "more than twofold"
        );
        assert_eq!(
            append(&mut body, &[5; 15], 180, &limits),
            Ok(15),
            "no more than held_bytes"
        );
        assert_eq!(
            append(&mut body, &[6; 1], 200, &limits),
            Err(exceeded(StreamLimit::HeldBytes, 200, 201))
        );
        assert_eq!(body.len(), 56);
        let limits = limits.held_bytes(1000);
        assert_eq!(
            append(&mut body, &[7; 1], 56, &limits),
            Ok(44),
            "no more than body_bytes"
        );
    }
}
