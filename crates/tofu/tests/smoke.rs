//! Two engines in one process hold a whole conversation.

#![cfg(test)]

use std::time::Duration;
use tofu::prelude::*;

const LIMIT: Duration = Duration::from_secs(5);

fn receive(group: &mut ChannelGroup) -> Msg {
    group
        .wait_receive(LIMIT)
        .unwrap()
        .expect("a message in time")
}

#[test]
fn hello_request_bye() {
    let server = Reactor::start(Options::default()).unwrap();
    let client = Reactor::start(Options::default()).unwrap();
    let mut sg = server.create().unwrap();
    let mut cg = client.create().unwrap();
    let mut welcome = server.message().unwrap();
    Address::tcp_server("127.0.0.1", 0)
        .format(&mut welcome)
        .unwrap();
    sg.post(welcome).unwrap();
    let ready = receive(&mut sg);
    assert_eq!(ready.op_code(), OpCode::WelcomeResponse);
    let endpoint = Address::parse(&ready).unwrap().into_endpoint();
    let mut hello = client.message().unwrap();
    Address::connect_to(endpoint).format(&mut hello).unwrap();
    let channel = cg.post(hello).unwrap().channel_number();
    let mut request = client.message().unwrap();
    request.set_channel_number(channel);
    request.body_mut().append(b"ping").unwrap();
    cg.post(request).unwrap();
    let mut hello = receive(&mut sg);
    assert_eq!(hello.op_code(), OpCode::HelloRequest);
    hello.make_reply();
    sg.post(hello).unwrap();
    let mut request = receive(&mut sg);
    assert_eq!(request.body().as_bytes(), b"ping");
    request.make_reply();
    sg.post(request).unwrap();
    assert_eq!(receive(&mut cg).op_code(), OpCode::HelloResponse);
    assert_eq!(receive(&mut cg).body().as_bytes(), b"ping");
    let mut bye = client.message().unwrap();
    bye.set_op_code(OpCode::ByeRequest);
    bye.set_channel_number(channel);
    cg.post(bye).unwrap();
    let mut bye = receive(&mut sg);
    assert_eq!(bye.op_code(), OpCode::ByeRequest);
    bye.make_reply();
    sg.post(bye).unwrap();
    assert_eq!(receive(&mut cg).op_code(), OpCode::ByeResponse);
    let closed = receive(&mut cg);
    println!("{closed:?}");
    assert!(closed.close_info().unwrap().confirmed);
    let closed = receive(&mut sg);
    println!("{closed:?}");
    assert!(!closed.close_info().unwrap().confirmed);
}
