//! What a hostile peer may send: never a panic, never dependent on how it is cut.

use tofu_msg::{BinaryHeader, Decoder, FrameRef, HeaderError};

use crate::data;

#[test]
fn hostile_bytes_never_panic_and_pieces_never_matter() {
    for (name, bytes) in data::malformed() {
        println!("{name}");
        tofu_msg::fuzzing::header(&bytes);
        tofu_msg::fuzzing::text_headers(&bytes);
        // A count of cuts, the cuts, and the stream: whole, byte by byte, and in odd pieces.
        for cuts in [&[0][..], &[1, 0], &[1, 15], &[3, 16, 2, 40]] {
            tofu_msg::fuzzing::frame_decoder(&[cuts, &bytes].concat());
        }
    }
}

fn refused(bytes: &[u8], op_code: u8) {
    let error = HeaderError::InvalidOpCode { op_code };
    assert_eq!(
        BinaryHeader::decode(bytes.first_chunk().unwrap()),
        Err(error)
    );
    assert_eq!(FrameRef::parse(bytes), Err(error));
    assert_eq!(Decoder::new().decode(&mut &bytes[..]), Err(error));
}

#[test]
fn op_codes_that_do_not_exist_are_refused() {
    let mut count = 0;
    for (name, bytes) in data::malformed() {
        if let Some(claimed) = name.strip_prefix("bad_opcode_") {
            refused(&bytes, claimed.trim_end_matches("_uds").parse().unwrap());
            count += 1;
        }
    }
    assert!(count >= 6, "only {count} entries");
    for op_code in 10..=15 {
        for others in [0x00, 0x10, 0x20, 0x40, 0x80, 0xf0] {
            let mut bytes = [0xff; 16];
            bytes[2] = others | op_code;
            refused(&bytes, op_code);
        }
    }
}
