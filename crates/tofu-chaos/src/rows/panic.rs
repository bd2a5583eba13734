//! Row 27: the engine's thread panics. Everybody who waits for it must hear so at once.

/// Without the planted panic there is nothing to see.
#[cfg(not(feature = "fault-injection"))]
pub(crate) fn run(_: &super::Extent) -> anyhow::Result<crate::outcome::Outcome> {
    Ok(crate::outcome::Outcome::not_run(
        "built without the feature `fault-injection`",
    ))
}

#[cfg(feature = "fault-injection")]
pub(crate) use planted::run;

#[cfg(feature = "fault-injection")]
mod planted {
    use std::sync::mpsc::{Sender, channel};
    use std::thread;
    use std::time::{Duration, Instant};

    use anyhow::{Context, Result, ensure};
    use tofu::prelude::*;

    use crate::kit::raw::RawPlace;
    use crate::kit::side::{BOTH, Side, Transport};
    use crate::kit::{LIMIT, milliseconds};
    use crate::outcome::{Facts, Outcome};
    use crate::rows::Extent;

    /// When every wait must have returned.
    const SOON: Duration = Duration::from_millis(100);

    /// Longer than the row may take.
    const LONG: Duration = Duration::from_secs(600);

    /// Somebody who waited: who, what was wrong with the answer, and when it came.
    type Answer = (&'static str, String, Instant);

    pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
        // The planted panics are expected; others are not, and are counted by their consequences.
        std::panic::set_hook(Box::new(|_| {}));
        let mut facts = Facts::default();
        for transport in BOTH {
            let (mut slowest, mut wrong) = (Duration::ZERO, Vec::new());
            let rounds = extent.pick(10, 200);
            for _ in 0..rounds {
                slowest = slowest.max(once(transport, &mut wrong)?);
            }
            facts.check(
                slowest <= SOON,
                format!(
                    "{transport}: {rounds} panics, every wait over within {}",
                    milliseconds(slowest)
                ),
            );
            if let Some(first) = wrong.first() {
                facts.check(false, format!("{} times: {first}", wrong.len()));
            }
        }
        Ok(facts.outcome())
    }

    /// How long the last of those who wait took to return; what was wrong with the answers.
    fn once(transport: Transport, wrongs: &mut Vec<String>) -> Result<Duration> {
        let engine = Reactor::start(Options::default().send_queue_messages(4))?;
        let group = || -> Result<Side> {
            Ok(Side {
                engine: engine.clone(),
                group: engine.create()?,
            })
        };
        let place = RawPlace::new(transport)?;
        let (answers, heard) = channel();
        let stuck = group()?;
        let line = stuck.hello(place.endpoint())?;
        let raw = place.greet()?;
        fill(&stuck, line)?;
        let waiting = [
            wait_receive(group()?, &answers),
            wait_receive(group()?, &answers),
            post(&stuck, line, &answers)?,
            destroy(group()?, place.endpoint(), &answers)?,
        ];
        // All of them wait by now, or will in a moment; either is right.
        thread::sleep(Duration::from_millis(20));
        let planted = Instant::now();
        engine.plant_panic();
        let mut slowest = Duration::ZERO;
        for _ in waiting {
            let (who, wrong, at) = heard.recv_timeout(LIMIT).context("somebody still waits")?;
            if !wrong.is_empty() {
                wrongs.push(format!("{who} was told {wrong}"));
            }
            slowest = slowest.max(at.saturating_duration_since(planted));
        }
        let start = Instant::now();
        engine.shutdown(LONG);
        ensure!(
            engine.create().is_err() && engine.message().is_err(),
            "it lives"
        );
        drop(raw);
        Ok(slowest.max(start.elapsed()))
    }

    /// Fills the channel's queue and the kernel behind it.
    fn fill(side: &Side, channel: ChannelNumber) -> Result<()> {
        let mut waited = 0;
        while waited < 20 {
            let mut message = side.message(OpCode::Signal, channel)?;
            message.body_mut().append(&[1; 60_000])?;
            if side.group.post(message).is_err() {
                waited += 1;
                thread::sleep(Duration::from_millis(2));
            } else {
                waited = 0;
            }
        }
        Ok(())
    }

    fn wait_receive(mut side: Side, answers: &Sender<Answer>) -> thread::JoinHandle<()> {
        let answers = answers.clone();
        thread::spawn(move || {
            let outcome = side.group.wait_receive(Duration::MAX);
            let wrong = match outcome {
                Err(EngineError::ProcessingFailed) => String::new(),
                other => format!("{other:?}"),
            };
            // The one who listens may have given up.
            let _ = answers.send(("wait_receive", wrong, Instant::now()));
        })
    }

    fn post(
        side: &Side,
        channel: ChannelNumber,
        answers: &Sender<Answer>,
    ) -> Result<thread::JoinHandle<()>> {
        let (answers, poster) = (answers.clone(), side.group.poster());
        let mut message = side.message(OpCode::Signal, channel)?;
        message.body_mut().append(&[1; 60_000])?;
        Ok(thread::spawn(move || {
            let outcome = poster.post_timeout(message, LONG);
            let wrong = match outcome {
                Err(error) if error.message().body().len() != 60_000 => {
                    format!("another message back: {:?}", error.message())
                }
                Err(error) => match error.kind() {
                    PostErrorKind::ProcessingFailed | PostErrorKind::ChannelClosed => String::new(),
                    other => format!("{other:?}"),
                },
                Ok(_) => "that there was room".to_owned(),
            };
            let _ = answers.send(("post_timeout", wrong, Instant::now()));
        }))
    }

    /// A destruction that waits for a queue which nobody takes.
    fn destroy(
        side: Side,
        endpoint: &Endpoint,
        answers: &Sender<Answer>,
    ) -> Result<thread::JoinHandle<()>> {
        let channel = side.hello(endpoint)?;
        fill(&side, channel)?;
        let answers = answers.clone();
        Ok(thread::spawn(move || {
            let report = side.group.destroy(LONG);
            let wrong = if report.complete {
                format!("that all was sent: {report:?}")
            } else {
                String::new()
            };
            let _ = answers.send(("destroy", wrong, Instant::now()));
        }))
    }
}
