//! The codec alone: `cargo bench --bench codec`.
#![expect(
    missing_docs,
    reason = "criterion's macros make public functions without"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tofu::msg::{BinaryHeader, FrameRef, Message, OpCode, Parse, TextHeaders};

fn header(c: &mut Criterion) {
    let mut message = Message::new(OpCode::Request);
    message.set_message_id(7.into());
    let raw = message.header().encode();
    let mut group = c.benchmark_group("header");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode and encode", |b| {
        b.iter(|| BinaryHeader::decode(black_box(&raw)).map(|header| header.encode()));
    });
    group.finish();
}

fn frames(c: &mut Criterion) {
    let mut message = Message::new(OpCode::Signal);
    message.set_message_id(7.into());
    let body = message.body_mut().append(&[1; 64]);
    assert!(body.is_ok());
    let mut stream = Vec::new();
    for _ in 0..1000 {
        message.encode_into(&mut stream);
    }
    let mut group = c.benchmark_group("frames of 64 bytes");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("parse", |b| {
        b.iter(|| {
            let mut rest = black_box(&stream[..]);
            let mut bodies = 0;
            while let Ok(Parse::Complete(frame)) = FrameRef::parse(rest) {
                bodies += frame.body().len();
                rest = &rest[frame.frame_len()..];
            }
            bodies
        });
    });
    group.bench_function("encode", |b| {
        let mut out = Vec::with_capacity(stream.len());
        b.iter(|| {
            out.clear();
            for _ in 0..1000 {
                black_box(&message).encode_into(&mut out);
            }
            out.len()
        });
    });
    group.finish();
}

fn text_headers(c: &mut Criterion) {
    let mut headers = TextHeaders::new();
    for name in ["Content-Type", "Job-ID", "Progress", "User"] {
        assert!(headers.append(name, "some value").is_ok());
    }
    c.bench_function("text headers, the last of four", |b| {
        b.iter(|| black_box(&headers).get("User").map(<[u8]>::len));
    });
}

criterion_group!(benches, header, frames, text_headers);
criterion_main!(benches);
