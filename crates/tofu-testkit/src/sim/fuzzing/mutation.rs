//! Hostile traffic: a conversation as an honest peer would lead it, spoilt.

use crate::sim::fuzzing::input::Input;
use crate::sim::fuzzing::story::{self, HEADER, Said};

/// Longer than what a repetition needs to fill every queue.
const MOST_BYTES: usize = 48 * 1024;
const MOST_FRAMES: usize = 12;
const MOST_MUTATIONS: usize = 8;

/// The bytes of a hostile peer.
pub(super) fn traffic(input: &mut Input<'_>) -> Vec<u8> {
    let mut frames = conversation(input);
    for _ in 0..input.below(MOST_MUTATIONS) {
        mutate(&mut frames, input);
    }
    let mut bytes = frames.concat();
    bytes.truncate(MOST_BYTES);
    bytes
}

/// A Hello, some data, and now and then a Bye.
fn conversation(input: &mut Input<'_>) -> Vec<Vec<u8>> {
    let mut frames = vec![said(story::HELLO_REQUEST, input).frame(1)];
    for _ in 0..input.below(MOST_FRAMES) {
        let op = input.one_of(&[
            story::REQUEST,
            story::REQUEST,
            story::SIGNAL,
            story::RESPONSE,
            story::BYE_REQUEST,
            story::BYE_RESPONSE,
        ]);
        frames.push(said(op, input).frame(1));
    }
    frames
}

fn said(op: u8, input: &mut Input<'_>) -> Said {
    Said {
        op,
        id: 1 + u64::from(input.byte()),
        headers: b"name:value\r\n".repeat(input.below(16).saturating_sub(12)),
        body: vec![input.byte(); input.len()],
        ..Said::default()
    }
}

/// One thing goes wrong.
fn mutate(frames: &mut Vec<Vec<u8>>, input: &mut Input<'_>) {
    let (kind, which, other) = (input.byte(), input.below(64), input.below(64));
    if frames.is_empty() {
        return;
    }
    let (which, other) = (which % frames.len(), other % frames.len());
    let frame = &mut frames[which];
    let at = input.below(64).min(frame.len().saturating_sub(1));
    match kind % 9 {
        0 if !frame.is_empty() => frame[at] ^= 1 << input.below(8),
        1 => frame.truncate(at),
        2 => *frame = frame.repeat((1 + input.below(64)).min(MOST_BYTES / (1 + frame.len()))),
        3 if frame.len() >= HEADER => frame[12..HEADER].copy_from_slice(&[
            input.byte(),
            input.byte(),
            input.byte(),
            input.byte(),
        ]),
        4 => frames.swap(which, other),
        5 => drop(frames.remove(which)),
        6 => frame.extend_from_slice(input.take(other)),
        7 if frame.len() > 2 => frame[2] = input.byte(),
        8 => drop(frame.drain(..at)),
        _ => {}
    }
}
