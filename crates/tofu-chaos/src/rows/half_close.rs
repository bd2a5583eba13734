//! Row 4: a peer sends its requests, ends its direction, and waits for the answers.

use anyhow::{Context, Result, ensure};
use tofu::prelude::*;
use tofu_testkit::End;

use super::Extent;
use crate::kit::LIMIT;
use crate::kit::raw::{dial, frame};
use crate::kit::side::{BOTH, Side, Transport};
use crate::outcome::{Facts, Outcome};

const REQUESTS: u64 = 200;

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    for transport in BOTH {
        let rounds = extent.pick(10, 200);
        for _ in 0..rounds {
            once(transport).with_context(|| transport.to_string())?;
        }
        facts.note(format!(
            "{transport}: {REQUESTS}/{REQUESTS} answered, {rounds} times"
        ));
    }
    Ok(facts.outcome())
}

fn once(transport: Transport) -> Result<()> {
    let mut side = Side::start(Options::default())?;
    let listening = side.listen(transport)?;
    let mut raw = dial(&listening.endpoint)?;
    let mut bytes = Vec::new();
    for id in 1..=REQUESTS {
        let mut request = Message::new(OpCode::Request);
        request.set_message_id(MessageId::new(id));
        request.body_mut().append(&id.to_be_bytes())?;
        bytes.extend(frame(&request));
    }
    raw.send(&bytes)?;
    raw.shutdown_write()?;
    let channel = side.take_hello()?.channel_number();
    for id in 1..=REQUESTS {
        let mut request = side.next().with_context(|| format!("request {id}"))?;
        ensure!(
            request.op_code() == OpCode::Request && request.body().as_bytes() == id.to_be_bytes(),
            "instead of request {id}: {request:?}"
        );
        request.make_reply();
        side.group.post(request)?;
    }
    let info = side.closed(channel, LIMIT)?;
    ensure!(info.messages_sent == REQUESTS, "{info:?}");
    let (answers, end) = raw.receive_all(LIMIT);
    let good = (1..=REQUESTS).zip(&answers).take_while(|(id, answer)| {
        answer.op_code() == OpCode::Response && answer.message_id().value() == *id
    });
    let good = good.count() as u64;
    ensure!(
        good == REQUESTS && answers.len() as u64 == REQUESTS && end == End::Eof,
        "{good} of {REQUESTS} answers came, then {end:?}"
    );
    Ok(())
}
