//! Ctrl-C, and SIGTERM, as something that wakes the receiving thread.
//!
//! The first one asks a command to end in good order; the second one ends the process, should that
//! take too long.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tofu::prelude::Poster;

use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::say;

/// Whether the user wants the command to end.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    is_set: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on signals are remembered here, and wake whoever receives from the poster's group.
    pub(crate) fn install(poster: Poster) -> Outcome<Interrupt> {
        let failed = |error| Failure::new(ExitStatus::Failure, format!("no signals: {error}"));
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let interrupt = Interrupt {
            is_set: Arc::new(AtomicBool::new(false)),
        };
        let is_set = Arc::clone(&interrupt.is_set);
        let listen = move || {
            for _signal in signals.forever() {
                if is_set.swap(true, Ordering::SeqCst) {
                    say(format_args!("tofu: interrupted twice"));
                    process::exit(ExitStatus::Interrupted as i32);
                }
                // Refused only when many updates wait or the engine has ended: awake either way.
                let _refused = poster.update_receiver(None);
            }
        };
        let thread = thread::Builder::new().name("tofu-signals".to_owned());
        thread.spawn(listen).map_err(failed)?;
        Ok(interrupt)
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }
}
