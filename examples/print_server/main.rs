//! Print jobs for workers that come and go: the dialogue of a print server, in processes of its own.
//!
//! ```text
//! $ cargo run --release --example print_server -- server              # in one terminal
//! serving on tcp|127.0.0.1|7099
//! channel 2: a worker for PostScript
//! channel 2: job 1 "Invoice" for it
//! channel 2: job 1, page 1 is printed
//! ...
//! channel 2: job 1 is done: 3 pages
//! channel 2: the worker has left in good order
//! ...
//! all 4 jobs are done
//! $ cargo run --release --example print_server -- worker PostScript   # in another, and PCL in a third
//! connected to tcp|127.0.0.1|7099
//! job 1: Invoice page 1 of 3, in PostScript
//! ...
//! job 1 is printed
//! left in good order
//! ```
//!
//! A worker says in its Hello which page description language (`PDL`) it understands, and how many
//! jobs it will take. The server sends it a job of that language as one Request of several messages, a
//! page each; the message id is the job's number. The worker tells by Signals of that id which pages
//! are printed, ends the job with a Response, and after its last job says Bye. Kill a worker, and its job goes to
//! the next; the server ends when all jobs are done and all workers have left.
//!
//! Arguments: `server [ADDRESS]`, or `worker PDL [ADDRESS [JOBS]]` (one job, if not told otherwise);
//! see `first_server` for the forms of addresses.

mod server;
mod worker;

use tofu_examples::Outcome;

const ADDRESS: &str = "tcp|127.0.0.1|7099";

/// Text headers of a worker's Hello: the page description language that it understands, and how many
/// jobs it will take.
const PDL: &str = "PDL";
const JOBS: &str = "Jobs";

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["server"] => server::serve(ADDRESS),
        ["server", address] => server::serve(address),
        ["worker", pdl] => worker::work(pdl, ADDRESS, 1),
        ["worker", pdl, address] => worker::work(pdl, address, 1),
        ["worker", pdl, address, jobs] => worker::work(pdl, address, jobs.parse()?),
        _ => Err("what to be? server [ADDRESS], or worker PDL [ADDRESS [JOBS]]".into()),
    }
}
