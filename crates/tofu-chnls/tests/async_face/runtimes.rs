//! One conversation, on every runtime: a server that answers, clients that ask.

use std::future::Future;

use async_executor::Executor;
use futures_lite::future::{block_on, zip};
use tofu_addr::{Address, Endpoint};
use tofu_chnls::{Ampe, ChannelGroup, Options, Reactor};
use tofu_msg::{OpCode, Status};

use crate::kit::{connect, signal};

const REQUESTS: u64 = 200;

/// Listens at a port of its own.
async fn listen(engine: &Reactor) -> (ChannelGroup, Endpoint) {
    let mut group = engine.create().unwrap();
    let mut welcome = engine.message().unwrap();
    let address = Address::tcp_server("127.0.0.1", 0);
    address.format(&mut welcome).unwrap();
    group.post_async(welcome).await.unwrap();
    let ready = group.receive().await.unwrap();
    let endpoint = Address::parse(&ready).unwrap().into_endpoint();
    (group, endpoint)
}

/// Answers everything, until its one channel is closed.
async fn serve(mut group: ChannelGroup) {
    loop {
        let mut msg = group.receive().await.unwrap();
        match msg.op_code() {
            OpCode::HelloRequest => {}
            OpCode::Request | OpCode::ByeRequest => {
                msg.make_reply();
                group.post_async(msg).await.unwrap();
            }
            _ => {
                assert_eq!(msg.status(), Status::CHANNEL_CLOSED);
                return;
            }
        }
    }
}

/// Asks, each time by a permit, and reads the answers in their order.
async fn ask(engine: Reactor, endpoint: Endpoint) -> u64 {
    let mut group = engine.create().unwrap();
    let channel = connect(&engine, &group, endpoint);
    let poster = group.poster();
    let asking = async {
        for id in 1..=REQUESTS {
            let permit = poster.reserve(channel, 1000).await.unwrap();
            let mut request = signal(&engine, channel, id, 100);
            request.set_op_code(OpCode::Request);
            permit.post(request).unwrap();
        }
    };
    let answers = async {
        let mut next = 1;
        while next <= REQUESTS {
            let msg = group.receive().await.unwrap();
            assert_eq!(msg.op_code(), OpCode::Response);
            assert_eq!(msg.message_id().value(), next);
            next += 1;
        }
        next - 1
    };
    let ((), answered) = zip(asking, answers).await;
    let mut bye = signal(&engine, channel, 0, 0);
    bye.set_op_code(OpCode::ByeRequest);
    group.post_async(bye).await.unwrap();
    let last = group.receive().await.unwrap();
    assert_eq!(last.op_code(), OpCode::ByeResponse);
    answered
}

/// The conversation as two futures that may run wherever the runtime likes.
fn conversation() -> (
    impl Future<Output = ()> + Send,
    impl Future<Output = u64> + Send,
) {
    let options = Options::default().send_queue_messages(8);
    let (server, client) = (
        Reactor::start(options.clone()).unwrap(),
        Reactor::start(options).unwrap(),
    );
    let (group, endpoint) = block_on(listen(&server));
    let serving = async move {
        serve(group).await;
        drop(server);
    };
    (serving, ask(client, endpoint))
}

#[test]
fn on_a_bare_block_on() {
    let (server, client) = conversation();
    let (_, answered) = block_on(zip(server, client));
    assert_eq!(answered, REQUESTS);
}

#[test]
fn on_the_executor_of_smol() {
    let (server, client) = conversation();
    let executor = Executor::new();
    let server = executor.spawn(server);
    let client = executor.spawn(client);
    let (_, answered) = block_on(executor.run(zip(server, client)));
    assert_eq!(answered, REQUESTS);
}

#[test]
fn on_tokio_with_one_thread_and_with_several() {
    let single = tokio::runtime::Builder::new_current_thread().build();
    let several = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build();
    for runtime in [single.unwrap(), several.unwrap()] {
        let (server, client) = conversation();
        let server = runtime.spawn(server);
        let client = runtime.spawn(client);
        assert_eq!(runtime.block_on(client).unwrap(), REQUESTS);
        runtime.block_on(server).unwrap();
    }
}
