//! One piece of work by one library: `tofu-peers run PEER SHAPE [key=value]...`.
//!
//! Started by `cargo xtask bench`, which repeats it and compares. The process is the client; it
//! starts the server as a process of its own (`serve` instead of `run`, the other words the same)
//! and prints what it measured, one `name value` per line. Everything that is received is checked
//! (`stamp`), so that what loses or mixes up messages fails instead of looking fast.

mod client;
mod crowd;
mod measures;
mod peers;
mod server;
mod server_process;
mod side;
mod stamp;
mod usage;
mod work;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::crowd::Hogs;
use crate::peers::Peer;
use crate::server_process::ServerProcess;
use crate::work::Work;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tofu-peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((role, words)) = words.split_first() else {
        bail!("usage: tofu-peers run PEER SHAPE [key=value]...");
    };
    if role == "burn" {
        crowd::burn();
    }
    let work = Work::parse(words)?;
    let peer = Peer::named(&work.peer)?;
    usage::raise_descriptor_limit()?;
    if work.is_on_one_core {
        usage::stay_on_one_core()?;
    }
    match role.as_str() {
        "serve" => (peer.serve)(&work),
        "run" if work.pairs > 1 => {
            print!("{}", crowd::several(words, work.pairs)?);
            Ok(())
        }
        "run" => {
            let _hogs = Hogs::start(work.hogs)?;
            let mut server = ServerProcess::start(words)?;
            print!("{}", (peer.drive)(&work, &mut server)?);
            Ok(())
        }
        other => bail!("{other}: neither run nor serve"),
    }
}
