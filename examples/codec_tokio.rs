//! The wire format without the engine, on tokio: `cargo run --release --example codec_tokio`.
//!
//! A tokio program speaks frames over its own socket, by `MessageCodec` and `Framed`; at the other end is a tofu
//! engine, which does not notice. What the engine would keep, the program keeps itself: it answers the
//! HelloRequest, each Request, and the ByeRequest, after which the connection ends.
//! It prints what the server heard and what the client got.

use futures_util::{SinkExt, StreamExt};
use tofu::msg::MessageCodec;
use tofu::prelude::*;
use tofu_examples::{Outcome, close, connect, next_of_peer};
use tokio::net::TcpListener;
use tokio_util::codec::Framed;

fn main() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let client = tokio::task::spawn_blocking(move || ask(port));
        serve(listener).await?;
        client.await?
    })
}

/// The tokio side: one connection, from its first frame to its last.
async fn serve(listener: TcpListener) -> Outcome {
    let (stream, _) = listener.accept().await?;
    let mut frames = Framed::new(stream, MessageCodec);
    while let Some(message) = frames.next().await {
        let mut message = message?;
        let text = String::from_utf8_lossy(message.body().as_bytes()).to_uppercase();
        println!("the server heard {} {text:?}", message.op_code());
        if message.make_reply().is_some() {
            message.body_mut().replace(text.as_bytes())?;
            frames.send(message).await?;
        }
    }
    println!("the server saw the end of the connection");
    Ok(())
}

/// The tofu side, on a thread that may wait.
fn ask(port: u16) -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let server = Address::tcp_client("127.0.0.1", port).into_endpoint();
    let channel = connect(&engine, &mut group, server)?;
    for word in ["one", "two", "three"] {
        let mut request = engine.message()?;
        request.set_channel_number(channel);
        request.body_mut().append(word.as_bytes())?;
        group.post(request)?;
        let response = next_of_peer(&mut group)?;
        let answer = String::from_utf8_lossy(response.body().as_bytes()).into_owned();
        println!("the client asked {word} and got {answer}");
    }
    close(&engine, &mut group, channel)?;
    println!("the client closed in good order");
    Ok(())
}
