//! `tofu decode`: frames as they are on the wire, made readable.
//!
//! Reads as the bytes come, so that it can stand at the end of a pipe, and holds one frame at a
//! time. Where the bytes are no frames it says at which one it stopped and why.

mod hex;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tofu::msg::{FrameRef, HEADER_LEN, Parse};

use self::hex::Digits;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;
use crate::render::{Format, View};

const EXAMPLES: &str = "\
Without --hex or --raw the first 16 bytes decide: if they are hexadecimal digits and white space,
so is the rest. Bytes are counted from 0; where the input is digits, those that they stand for.
Without --json at most 1024 bytes of a body are shown.

Examples:
  echo '0007 00 00 0000000000000001 0000 0005 68656c6c6f' | tofu decode
  printf '\\0\\7\\2\\0\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0\\2hi' > frames.bin
  tofu decode frames.bin --json

Exit status: 0, or 6 if the bytes are no frames; for others see tofu --help.";

/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// Print frames in a readable form
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The file with the frames; - for standard input
    #[arg(default_value = "-", hide_default_value = true)]
    file: PathBuf,
    /// Print each frame as a line of JSON
    #[arg(long)]
    json: bool,
    /// The input is hexadecimal digits, with white space anywhere
    #[arg(long, conflicts_with = "raw")]
    hex: bool,
    /// The input is the bytes themselves
    #[arg(long)]
    raw: bool,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let mut input = Input::open(&arguments.file)?;
    let start = input.start()?;
    let is_hex = arguments.hex || (!arguments.raw && hex::looks_like_digits(&start));
    let mut decoding = Decoding {
        digits: is_hex.then(Digits::default),
        frames: Frames::default(),
        format: match arguments.json {
            true => Format::Json,
            false => Format::Text,
        },
        output,
    };
    decoding.take(&start)?;
    let mut piece = vec![0; PIECE];
    loop {
        decoding.output.flush()?;
        match input.read(&mut piece)? {
            0 => return decoding.end(),
            len => decoding.take(&piece[..len])?,
        }
    }
}

/// What is read, with its name for people.
struct Input {
    name: String,
    reader: Box<dyn Read>,
}

impl Input {
    fn open(path: &Path) -> Outcome<Input> {
        if path == Path::new("-") {
            let (name, reader) = ("standard input".to_owned(), Box::new(io::stdin()));
            return Ok(Input { name, reader });
        }
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
        let reader = Box::new(file);
        Ok(Input { name, reader })
    }

    /// As many bytes as a header has, or all if there are fewer.
    fn start(&mut self) -> Outcome<Vec<u8>> {
        let mut start = vec![0; HEADER_LEN];
        let mut len = 0;
        while len < start.len() {
            match self.read(&mut start[len..])? {
                0 => break,
                more => len += more,
            }
        }
        start.truncate(len);
        Ok(start)
    }

    /// 0 at the end.
    fn read(&mut self, piece: &mut [u8]) -> Outcome<usize> {
        loop {
            match self.reader.read(piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| unreadable(&self.name, &error)),
            }
        }
    }
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::new(ExitStatus::Failure, format!("cannot read {name}: {error}"))
}

fn bad(text: String) -> Failure {
    Failure::new(ExitStatus::BadBytes, text)
}

/// From what is read to what is printed.
struct Decoding<'a> {
    /// Where the input is digits.
    digits: Option<Digits>,
    frames: Frames,
    format: Format,
    output: &'a mut Output,
}

impl Decoding<'_> {
    fn take(&mut self, piece: &[u8]) -> Outcome {
        let Some(digits) = &mut self.digits else {
            return self.frames.take(piece, self.format, self.output);
        };
        let mut bytes = Vec::with_capacity(piece.len() / 2 + 1);
        let outcome = digits.take(piece, &mut bytes);
        // The frames in front of a wrong digit are good.
        self.frames.take(&bytes, self.format, self.output)?;
        outcome.map_err(bad)
    }

    fn end(&self) -> Outcome {
        if let Some(digits) = &self.digits {
            digits.end().map_err(bad)?;
        }
        self.frames.end().map_err(bad)
    }
}

/// Bytes that are becoming frames.
#[derive(Default)]
struct Frames {
    /// The frame that is cut. Invariant: shorter than it will be, so at most `MAX_FRAME_LEN`.
    buffer: Vec<u8>,
    /// Where in the stream the buffer starts.
    offset: u64,
}

impl Frames {
    /// Shows every frame that is whole.
    fn take(&mut self, piece: &[u8], format: Format, output: &mut Output) -> Outcome {
        self.buffer.extend_from_slice(piece);
        let mut start = 0;
        while let Parse::Complete(frame) = self.parse(start)? {
            let view = View {
                offset: Some(self.offset + as_u64(start)),
                ..View::from(frame)
            };
            view.show(format, output)?;
            start += frame.frame_len();
        }
        self.buffer.drain(..start);
        self.offset += as_u64(start);
        Ok(())
    }

    fn parse(&self, start: usize) -> Outcome<Parse<FrameRef<'_>>> {
        FrameRef::parse(&self.buffer[start..]).map_err(|error| {
            let frame = self.offset + as_u64(start);
            // The byte with the op code is the only one that can be wrong.
            let byte = frame + 2;
            bad(format!(
                "stopped at byte {byte}, in the frame that starts at byte {frame}: {error}"
            ))
        })
    }

    /// Says what is wrong with bytes that are left.
    fn end(&self) -> Result<(), String> {
        let (len, frame) = (self.buffer.len(), self.offset);
        let end = frame + as_u64(len);
        match FrameRef::parse(&self.buffer) {
            _ if len == 0 => Ok(()),
            Ok(Parse::Partial { needed }) => Err(format!(
                "stopped at byte {end}: the input ends in the frame that starts at byte {frame}, \
                 which has {len} of at least {needed} bytes"
            )),
            // Whole and wrong frames are dealt with as they come.
            Ok(Parse::Complete(_)) | Err(_) => Ok(()),
        }
    }
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
