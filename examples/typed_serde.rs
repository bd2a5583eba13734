//! Any data in bodies, by serde: a text format and a binary one, told apart by a text header.
//!
//! A body can be written to (`io::Write`) and read from as a slice, which is all that a serde format
//! needs; tofu itself knows none. Here JSON, which people can read, and postcard, which is small. The
//! server answers in the format of the question, and one that it cannot read with an `Error`.
//!
//! ```text
//! $ cargo run --release --example typed_serde
//! json     an order of 103 bytes, a receipt of 24 bytes: 4 items for 1397 cents
//! postcard an order of 20 bytes, a receipt of 3 bytes: 4 items for 1397 cents
//! broken   not understood: EOF while parsing a value at line 1 column 10
//! ```

use std::ops::ControlFlow;
use std::thread;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tofu::helpers::{Context, Host, Service};
use tofu::prelude::*;
use tofu_examples::{Outcome, PATIENCE, any_port, close, connect, next_of_peer};

/// The text header that names the format of the body.
const FORMAT: &str = "Format";
/// The text header of an answer that has no body.
const ERROR: &str = "Error";

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    customer: String,
    items: Vec<Item>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Item {
    name: String,
    count: u16,
    cents: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    items: u64,
    cents: u64,
}

/// Writes a value as the body, with its format.
fn write<T: Serialize>(message: &mut Message, format: &str, value: &T) -> Outcome {
    message.text_headers_mut().append(FORMAT, format)?;
    match format {
        "json" => serde_json::to_writer(message.body_mut(), value)?,
        "postcard" => drop(postcard::to_io(value, message.body_mut())?),
        _ => return Err(format!("no format {format}").into()),
    }
    Ok(())
}

/// Reads a value out of the body, and its format.
fn read<T: DeserializeOwned>(message: &Message) -> Outcome<(String, T)> {
    let format = message
        .text_headers()
        .get_str(FORMAT)
        .ok_or("no format")??;
    let value = match format {
        "json" => serde_json::from_slice(message.body())?,
        "postcard" => postcard::from_bytes(message.body())?,
        _ => return Err(format!("no format {format}").into()),
    };
    Ok((format.to_owned(), value))
}

fn main() -> Outcome {
    let server = Reactor::start(Options::default())?;
    let host = Host::open(&server, [any_port()], PATIENCE)?;
    let endpoint = host.listeners()[0].endpoint.clone();
    let handle = host.handle();
    let service = thread::spawn(move || host.serve(&server, &mut Shop));

    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let channel = connect(&engine, &mut group, endpoint)?;
    for format in ["json", "postcard"] {
        let mut request = engine.message()?;
        request.set_channel_number(channel);
        write(&mut request, format, &order())?;
        let ordered = request.body().len();
        group.post(request)?;
        let answer = next_of_peer(&mut group)?;
        let (_, Receipt { items, cents }) = read(&answer)?;
        println!(
            "{format:<8} an order of {ordered} bytes, a receipt of {} bytes: {items} items for {cents} cents",
            answer.body().len()
        );
    }

    let mut broken = engine.message()?;
    broken.set_channel_number(channel);
    broken.text_headers_mut().append(FORMAT, "json")?;
    broken.body_mut().append(b"{\"custom\":")?;
    group.post(broken)?;
    let answer = next_of_peer(&mut group)?;
    let why = answer.text_headers().get_str(ERROR).ok_or("no error")??;
    println!("broken   {why}");

    close(&engine, &mut group, channel)?;
    handle.stop();
    service.join().map_err(|_| "the server panicked")??;
    Ok(())
}

fn order() -> Order {
    let item = |name: &str, count, cents| Item {
        name: name.to_owned(),
        count,
        cents,
    };
    Order {
        customer: "Ann".to_owned(),
        items: vec![item("bean", 3, 199), item("pot", 1, 800)],
    }
}

/// Answers orders with receipts.
struct Shop;

impl Shop {
    /// Turns an order into its receipt.
    fn serve(message: &mut Message) -> Outcome {
        let (format, order): (_, Order) = read(message)?;
        let mut receipt = Receipt { items: 0, cents: 0 };
        for item in order.items {
            receipt.items += u64::from(item.count);
            receipt.cents += u64::from(item.count) * u64::from(item.cents);
        }
        message.text_headers_mut().clear();
        message.body_mut().clear();
        write(message, &format, &receipt)
    }
}

impl Service for Shop {
    fn on_message(&mut self, incoming: Incoming, context: &Context<'_>) -> ControlFlow<()> {
        if let Incoming::Peer(mut message) = incoming {
            if message.op_code() == OpCode::Request {
                if let Err(error) = Shop::serve(&mut message) {
                    let headers = message.text_headers_mut();
                    headers.clear();
                    headers
                        .append(ERROR, format!("not understood: {error}"))
                        .ok();
                    message.body_mut().clear();
                }
            }
            message.make_reply();
            context.post(message).ok(); // refused if the client has left
        }
        ControlFlow::Continue(())
    }
}
