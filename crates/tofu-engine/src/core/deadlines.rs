//! The deadlines of one channel: which run, which stand still, which has passed.
//!
//! A deadline that waits for the peer to send stands still while we do not read.

use std::time::Duration;

use tofu_msg::Status;

use crate::close::Cause;
use crate::core::channel::Manner;
use crate::core::time::Time;

/// What a channel may be waiting for. In this order they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The connection being made.
    Connect,
    /// The HelloRequest of an accepted connection.
    Handshake,
    /// The HelloResponse to ours.
    HelloResponse,
    /// The ByeResponse to our ByeRequest.
    Bye,
    /// The peer's end of stream behind our last word.
    Linger,
    /// The rest of a frame.
    Frame,
    /// The peer to take a byte.
    WriteStall,
    /// The moment for looking whether the kernel has room that it does not tell of.
    Look,
    /// Any byte in either direction.
    Idle,
    /// The moment for another attempt to connect.
    Retry,
    /// The rest of the queue being sent.
    Finish,
}

const TIMERS: [Timer; 11] = [
    Timer::Connect,
    Timer::Handshake,
    Timer::HelloResponse,
    Timer::Bye,
    Timer::Linger,
    Timer::Frame,
    Timer::WriteStall,
    Timer::Look,
    Timer::Idle,
    Timer::Retry,
    Timer::Finish,
];

impl Timer {
    /// Whether a channel that ended with this status ended because a deadline had passed.
    pub(crate) fn is_timeout(status: Status) -> bool {
        TIMERS
            .iter()
            .filter_map(|timer| timer.cause())
            .any(|cause| cause.status() == status)
    }

    /// Whether it stands still while we do not read.
    fn waits_for_reading(self) -> bool {
        use Timer::{Bye, Frame, Handshake, HelloResponse, Idle};
        matches!(self, Handshake | HelloResponse | Bye | Frame | Idle)
    }

    /// The cause of a channel that ends because this has passed; `None` for those that end none.
    fn cause(self) -> Option<Cause> {
        let (status, text) = match self {
            Timer::Connect => (
                Status::CONNECT_TIMEOUT,
                "the connection was not made within the connect timeout",
            ),
            Timer::Handshake => (
                Status::HANDSHAKE_TIMEOUT,
                "no HelloRequest came within the handshake timeout",
            ),
            Timer::HelloResponse => (
                Status::HELLO_RESPONSE_TIMEOUT,
                "no HelloResponse came within the hello response timeout",
            ),
            Timer::Bye => (
                Status::BYE_TIMEOUT,
                "no ByeResponse came within the bye timeout",
            ),
            Timer::Linger => (
                Status::LINGER_TIMEOUT,
                "the peer did not close within the linger timeout",
            ),
            Timer::Frame => (
                Status::FRAME_TIMEOUT,
                "a frame was begun and not finished within the frame timeout",
            ),
            Timer::WriteStall => (
                Status::WRITE_STALL_TIMEOUT,
                "the peer took no byte within the write stall timeout",
            ),
            Timer::Idle => (
                Status::IDLE_TIMEOUT,
                "no byte passed within the idle timeout",
            ),
            Timer::Look | Timer::Retry | Timer::Finish => return None,
        };
        Some(Cause::new(status, text))
    }

    /// How a channel is closed that ends because this has passed: where the peer is known to take
    /// nothing, waiting for it is of no use.
    fn manner(self) -> Manner {
        match self {
            Timer::HelloResponse | Timer::Bye | Timer::Frame | Timer::Idle => Manner::Linger,
            _ => Manner::Gone,
        }
    }
}

/// What a look at the deadlines found.
#[derive(Debug)]
pub(crate) enum Passed {
    Nothing,
    /// The channel ends.
    End(Cause, Manner),
    /// It is time for another attempt to connect.
    Retry,
    /// The time for sending the rest is over.
    Finish,
}

/// The deadlines of one channel; `Time::NEVER` for those that do not run.
#[derive(Debug)]
pub(crate) struct Deadlines {
    /// Where the channel stands in the core's timers.
    pub(crate) armed: Option<Time>,
    at: [Time; TIMERS.len()],
    paused_at: Option<Time>,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            armed: None,
            at: [Time::NEVER; TIMERS.len()],
            paused_at: None,
        }
    }
}

impl Deadlines {
    /// Starts or moves a deadline; `timeout` from `now`.
    pub(crate) fn start(&mut self, timer: Timer, now: Time, timeout: Duration) {
        // While reading pauses, the time that has stood still so far is not counted twice.
        let from = match self.paused_at {
            Some(paused) if timer.waits_for_reading() => paused,
            _ => now,
        };
        self.at[timer as usize] = from.after(timeout);
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.at[timer as usize] = Time::NEVER;
    }

    pub(crate) fn is_running(&self, timer: Timer) -> bool {
        self.at[timer as usize] != Time::NEVER
    }

    /// When a deadline passes.
    pub(crate) fn at(&self, timer: Timer) -> Time {
        self.at[timer as usize]
    }

    /// Whether a deadline runs and has passed.
    pub(crate) fn is_past(&self, timer: Timer, now: Time) -> bool {
        self.at[timer as usize] <= now
    }

    /// Moves a deadline to `at` unless it is earlier already.
    pub(crate) fn bring_forward(&mut self, timer: Timer, at: Time) {
        let place = &mut self.at[timer as usize];
        *place = at.min(*place);
    }

    /// Reading pauses.
    pub(crate) fn pause(&mut self, now: Time) {
        self.paused_at.get_or_insert(now);
    }

    /// Reading goes on: what stood still gets the time back.
    pub(crate) fn resume(&mut self, now: Time) {
        let Some(paused_at) = self.paused_at.take() else {
            return;
        };
        let stood_still = now.since(paused_at);
        for timer in TIMERS {
            if timer.waits_for_reading() {
                let at = &mut self.at[timer as usize];
                *at = at.after(stood_still);
            }
        }
    }

    fn counts(&self, timer: Timer) -> bool {
        self.paused_at.is_none() || !timer.waits_for_reading()
    }

    /// The earliest that runs.
    pub(crate) fn earliest(&self) -> Option<Time> {
        let running = TIMERS.into_iter().filter(|&timer| self.counts(timer));
        running
            .map(|timer| self.at[timer as usize])
            .min()
            .filter(|&at| at != Time::NEVER)
    }

    /// The first that has passed.
    pub(crate) fn passed(&self, now: Time) -> Passed {
        for timer in TIMERS {
            if self.at[timer as usize] > now || !self.counts(timer) {
                continue;
            }
            return match (timer, timer.cause()) {
                (_, Some(cause)) => Passed::End(cause, timer.manner()),
                (Timer::Look, None) => continue,
                (Timer::Retry, None) => Passed::Retry,
                (_, None) => Passed::Finish,
            };
        }
        Passed::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_list_is_in_the_order_of_the_enum() {
        for (index, timer) in TIMERS.into_iter().enumerate() {
            assert_eq!(timer as usize, index);
        }
    }

    #[test]
    fn what_waits_for_the_peer_stands_still_while_we_do_not_read() {
        let mut deadlines = Deadlines::default();
        deadlines.start(Timer::Frame, at(0), seconds(30));
        deadlines.start(Timer::WriteStall, at(0), seconds(60));
        deadlines.pause(at(10));
        assert_eq!(
            deadlines.earliest(),
            Some(at(60)),
            "the write stall runs on"
        );
        assert!(matches!(deadlines.passed(at(50)), Passed::Nothing));
        deadlines.resume(at(100));
        deadlines.stop(Timer::WriteStall);
        assert_eq!(deadlines.earliest(), Some(at(120)), "20 s were left");
        let Passed::End(cause, _) = deadlines.passed(at(120)) else {
            panic!("it has passed")
        };
        assert_eq!(cause.status(), Status::FRAME_TIMEOUT);
    }

    #[test]
    fn a_deadline_started_in_a_pause_has_its_whole_time_left_after_it() {
        let mut deadlines = Deadlines::default();
        deadlines.pause(at(10));
        deadlines.start(Timer::Bye, at(40), seconds(30));
        deadlines.resume(at(50));
        assert_eq!(deadlines.earliest(), Some(at(80)));
    }

    #[test]
    fn a_timeout_without_end_never_runs() {
        let mut deadlines = Deadlines::default();
        deadlines.start(Timer::Idle, at(5), Duration::MAX);
        assert!(!deadlines.is_running(Timer::Idle));
        deadlines.bring_forward(Timer::Finish, at(9));
        deadlines.bring_forward(Timer::Finish, at(12));
        assert_eq!(deadlines.earliest(), Some(at(9)));
        assert!(matches!(deadlines.passed(at(9)), Passed::Finish));
    }
}
