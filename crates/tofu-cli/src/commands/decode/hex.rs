//! Hexadecimal digits, in pieces.
//!
//! White space may stand anywhere, also between the two digits of a byte; it means nothing.

/// Whether what starts so is likely to be digits: a frame hardly ever is.
pub(super) fn looks_like_digits(start: &[u8]) -> bool {
    let mut others = start.iter().filter(|byte| !byte.is_ascii_whitespace());
    start.iter().any(u8::is_ascii_hexdigit) && others.all(u8::is_ascii_hexdigit)
}

/// Digits that are becoming bytes.
#[derive(Debug, Default)]
pub(super) struct Digits {
    /// The first digit of a byte whose second has not come yet.
    high: Option<u8>,
    /// How many characters there were before, white space included.
    offset: u64,
}

impl Digits {
    /// Adds the bytes to `out`. The error says what is no digit, and where; the bytes in front of
    /// it are in `out`.
    pub(super) fn take(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        for character in piece {
            if !character.is_ascii_whitespace() {
                let digit = value(*character).ok_or_else(|| self.no_digit(*character))?;
                match self.high.take() {
                    Some(high) => out.push(high << 4 | digit),
                    None => self.high = Some(digit),
                }
            }
            self.offset += 1;
        }
        Ok(())
    }

    /// The error says that half of the last byte is missing.
    pub(super) fn end(&self) -> Result<(), String> {
        match self.high {
            None => Ok(()),
            Some(_) => Err(format!(
                "stopped at character {}: the last byte has only one hexadecimal digit",
                self.offset
            )),
        }
    }

    fn no_digit(&self, character: u8) -> String {
        format!(
            "stopped at character {}: '{}' is no hexadecimal digit",
            self.offset,
            character.escape_ascii()
        )
    }
}

fn value(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_may_be_cut_anywhere() {
        let (mut digits, mut out) = (Digits::default(), Vec::new());
        for piece in [&b"0"[..], b"1 f", b"\n", b"FAb"] {
            digits.take(piece, &mut out).unwrap();
        }
        assert_eq!(out, [0x01, 0xff, 0xab]);
        assert_eq!(digits.end(), Ok(()));
        digits.take(b"7", &mut out).unwrap();
        assert!(digits.end().unwrap_err().contains("character 9"));
        let error = digits.take(b"\x1b", &mut out).unwrap_err();
        assert_eq!(
            error,
            "stopped at character 9: '\\x1b' is no hexadecimal digit"
        );
    }

    #[test]
    fn frames_are_told_from_digits() {
        assert!(looks_like_digits(b"0007 00\n"));
        assert!(!looks_like_digits(b"\x00\x07\x00\x00"));
        assert!(!looks_like_digits(b""));
        assert!(!looks_like_digits(b" \n"));
    }
}
