//! The calls that an application makes, without waiting for a peer: `cargo bench --bench engine`.
#![expect(
    missing_docs,
    reason = "criterion's macros make public functions without"
)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tofu::prelude::*;
use tofu_benches::{Failure, Pair, next};

/// Messages posted in one go; fewer than a send queue takes.
const BURST: u64 = 1000;

fn pool(c: &mut Criterion) {
    let Ok(engine) = Reactor::start(Options::default()) else {
        return;
    };
    let mut group = c.benchmark_group("pool");
    group.throughput(Throughput::Elements(1));
    group.bench_function("get and put", |b| {
        b.iter(|| {
            if let Ok(message) = engine.message() {
                engine.put(black_box(message));
            }
        });
    });
    group.finish();
}

/// A burst of small messages: getting, filling and posting each.
fn post(c: &mut Criterion) {
    let Ok(mut pair) = Pair::listen(&Address::tcp_server("127.0.0.1", 0)) else {
        return;
    };
    let Ok((near, _)) = pair.connect() else {
        return;
    };
    let mut group = c.benchmark_group("post");
    group.throughput(Throughput::Elements(BURST));
    group.bench_function("get, fill 64 bytes, post", |b| {
        b.iter_batched(
            || drained(&mut pair.server_group),
            |ready| {
                assert!(ready.is_ok());
                for _ in 0..BURST {
                    assert!(post_one(&pair.client, &pair.client_group, near).is_ok());
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn post_one(engine: &Reactor, group: &ChannelGroup, channel: ChannelNumber) -> Result<(), Failure> {
    let mut msg = engine.message()?;
    msg.set_op_code(OpCode::Signal);
    msg.set_channel_number(channel);
    msg.body_mut().append(&[7; 64])?;
    group.post(msg)?;
    Ok(())
}

/// Takes the burst of the iteration before, so that the queue is empty again.
fn drained(group: &mut ChannelGroup) -> Result<(), Failure> {
    let mut taken = 0;
    while taken < BURST {
        match group.wait_receive(std::time::Duration::ZERO)? {
            Some(_) => taken += 1,
            None if taken == 0 => return Ok(()),
            None => {
                next(group)?;
                taken += 1;
            }
        }
    }
    Ok(())
}

criterion_group!(benches, pool, post);
criterion_main!(benches);
