//! Sends a file of any size to another process and compares the checksums of both sides.
//!
//! ```text
//! $ cargo run --release --example send_file -- big.iso --uds
//! 314572800 bytes over uds|/tmp/tofu-send-file-4711.sock in 0.62 s: 483 MiB/s
//! sha-256 here   5c1a...
//! sha-256 there  5c1a...
//! peak memory    sender 12.1 MiB, receiver 21.9 MiB
//! both sides have the same file
//! ```
//!
//! Without a file it makes one of a few MiB; without `--uds` it goes over TCP. The receiver is this
//! same program, started again with an argument that is not for users; it keeps nothing but the
//! checksum. What to look at:
//!
//! - `sender`: one operation of many messages, and back-pressure: the file is read no faster than
//!   the receiver takes it, so neither process ever holds more than a few MiB of it.
//! - `receiver`: Signals tell how far it is, and a Response ends the operation.

mod receiver;
mod sender;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use tofu::prelude::*;
use tofu_examples::Outcome;

/// The argument that makes this program the receiver; the address to listen on follows.
const RECEIVE_ON: &str = "--receive-on";

/// Text headers of the receiver's Response.
const CHECKSUM: &str = "Sha-256";
const PEAK_MEMORY: &str = "Peak-Memory";

/// The length of the file that is made when none is given, in bytes.
const SAMPLE_LEN: u64 = 5 * 1024 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [argument, address] if argument == RECEIVE_ON => receiver::receive(address),
        _ => send_as_told(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("send_file: {error}");
            ExitCode::FAILURE
        }
    }
}

fn send_as_told(arguments: &[String]) -> Outcome {
    let endpoint = match arguments.iter().any(|argument| argument == "--uds") {
        true => Address::uds_server(temporary("sock")).into_endpoint(),
        false => Address::tcp_server("127.0.0.1", 0).into_endpoint(),
    };
    match arguments.iter().find(|argument| *argument != "--uds") {
        Some(path) => send(Path::new(path), &endpoint),
        None => {
            let path = temporary("sample");
            make_sample(&path)?;
            let sent = send(&path, &endpoint);
            std::fs::remove_file(path)?;
            sent
        }
    }
}

/// A path that no other process uses.
fn temporary(suffix: &str) -> PathBuf {
    let name = format!("tofu-send-file-{}.{suffix}", std::process::id());
    std::env::temp_dir().join(name)
}

/// Writes a file that looks random and is the same every time.
fn make_sample(path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..SAMPLE_LEN / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_be_bytes())?;
    }
    file.flush()
}

/// Starts the receiver, sends it the file, and prints what came of it.
fn send(path: &Path, endpoint: &Endpoint) -> Outcome {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut receiver, endpoint) = Receiver::start(endpoint)?;
    let sent = sender::send(file, endpoint.clone())?;
    receiver.wait()?;

    let rate = sent.bytes as f64 / sent.time.as_secs_f64() / f64::from(1 << 20);
    println!(
        "{} bytes over {endpoint} in {:.2} s: {rate:.0} MiB/s",
        sent.bytes,
        sent.time.as_secs_f64()
    );
    println!("sha-256 here   {}", sent.checksum_here);
    println!("sha-256 there  {}", sent.checksum_there);
    println!(
        "peak memory    sender {}, receiver {}",
        peak_memory(),
        sent.peak_memory_there
    );
    if sent.checksum_here != sent.checksum_there {
        return Err("the receiver got something else than was sent".into());
    }
    println!("both sides have the same file");
    Ok(())
}

/// The most memory that this process ever had resident, where the system tells it (Linux does).
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u32>().ok());
    match kibibytes {
        Some(kibibytes) => format!("{:.1} MiB", f64::from(kibibytes) / 1024.0),
        None => "unknown".to_owned(),
    }
}

/// The other process; ended when dropped, whatever happened here.
struct Receiver(Child);

impl Receiver {
    /// Starts it and reads the address on which it really listens.
    fn start(endpoint: &Endpoint) -> Outcome<(Receiver, Endpoint)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([RECEIVE_ON, &endpoint.to_string()]);
        let mut receiver = Receiver(command.stdout(Stdio::piped()).spawn()?);
        let mut address = String::new();
        if let Some(output) = receiver.0.stdout.take() {
            BufReader::new(output).read_line(&mut address)?;
        }
        if address.is_empty() {
            return Err("the receiver did not start".into());
        }
        Ok((receiver, address.trim_end().parse()?))
    }

    /// Waits until it has ended, with success.
    fn wait(&mut self) -> Outcome {
        match self.0.wait()? {
            status if status.success() => Ok(()),
            status => Err(format!("the receiver ended with {status}").into()),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
