//! Many conversations at once, told apart by their channel numbers: one thread on each side.
//!
//! A hundred clients keep a balance each with a bank. All clients live in one channel group, and the
//! bank in another: each side is one thread with one `wait_receive`, and a map by channel number holds
//! what belongs to a conversation. The number is each side's own: the same connection has another one
//! on the other side.
//!
//! ```text
//! $ cargo run --release --example many_clients
//! 100 clients connected
//! 2000 payments made, every balance is right
//! 100 clients left in good order
//! ```
//!
//! Argument: how many clients. Each needs two descriptors, for both sides are in this process.

use std::collections::HashMap;
use std::thread;

use tofu::prelude::*;
use tofu_examples::{
    Outcome, any_port, joined, listen, message_to, next, next_of_peer, number_in, unexpected,
};

/// Payments of each client.
const PAYMENTS: u64 = 20;

/// The text header of a HelloRequest that says who it is, and of a Response whose balance it is.
const NAME: &str = "Name";

fn main() -> Outcome {
    let count = std::env::args().nth(1);
    let count = count.as_deref().unwrap_or("100").parse()?;
    let bank_engine = Reactor::start(Options::default())?;
    let mut group = bank_engine.create()?;
    let endpoint = listen(&bank_engine, &mut group, any_port())?;
    let bank = thread::spawn(move || keep_accounts(group, count));

    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let mut clients = connect_all(&engine, &mut group, &endpoint, count)?;
    println!("{} clients connected", clients.len());
    let payments = pay(&engine, &mut group, &mut clients)?;
    println!("{payments} payments made, every balance is right");
    leave(&engine, &group, &clients)?;
    let left = joined(bank)?;
    println!("{left} clients left in good order");
    Ok(())
}

/// What the bank knows of a client.
struct Account {
    name: String,
    balance: u64,
}

/// The bank. Returns how many clients have left in good order, when all have left.
fn keep_accounts(mut group: ChannelGroup, clients: usize) -> Outcome<usize> {
    let mut accounts = HashMap::new();
    let (mut gone, mut in_good_order) = (0, 0);
    while gone < clients {
        let message = next(&mut group)?;
        let channel = message.channel_number();
        match Incoming::from(message) {
            Incoming::Peer(message) => {
                group.post(serve(&mut accounts, message)?)?;
            }
            // The number will be given to somebody else some day.
            Incoming::Engine(Notice::ChannelClosed(info), _) => {
                accounts.remove(&channel);
                gone += 1;
                in_good_order += usize::from(info.cause.status().is_success());
            }
            other => return Err(unexpected(&other)),
        }
    }
    Ok(in_good_order)
}

/// Does what a client asks for. Returns the answer.
fn serve(accounts: &mut HashMap<ChannelNumber, Account>, mut message: Msg) -> Outcome<Msg> {
    let channel = message.channel_number();
    match message.op_code() {
        OpCode::HelloRequest => {
            let name = message.text_headers().get_str(NAME).ok_or("no name")??;
            let name = name.to_owned();
            accounts.insert(channel, Account { name, balance: 0 });
        }
        OpCode::Request => {
            let account = accounts.get_mut(&channel).ok_or("no account")?;
            account.balance += number_in(&message)?;
            message.body_mut().replace(&account.balance.to_be_bytes())?;
            message.text_headers_mut().append(NAME, &account.name)?;
        }
        _ => {}
    }
    message.make_reply();
    Ok(message)
}

/// What a client knows of itself.
struct Client {
    name: String,
    amount: u64,
    payments: u64,
}

type Clients = HashMap<ChannelNumber, Client>;

/// Says all the Hellos, then takes all the answers.
fn connect_all(
    engine: &Reactor,
    group: &mut ChannelGroup,
    bank: &Endpoint,
    count: usize,
) -> Outcome<Clients> {
    let mut clients = Clients::new();
    for number in 1..=count {
        let name = format!("client {number}");
        let mut hello = engine.message()?;
        Address::connect_to(bank.clone()).format(&mut hello)?;
        hello.text_headers_mut().append(NAME, &name)?;
        let client = Client {
            name,
            amount: number as u64,
            payments: 0,
        };
        clients.insert(group.post(hello)?.channel_number, client);
    }
    for _ in 0..count {
        next_of_peer(group)?;
    }
    Ok(clients)
}

/// Every client pays its amount again as soon as it knows its new balance. Returns how many payments
/// that were.
fn pay(engine: &Reactor, group: &mut ChannelGroup, clients: &mut Clients) -> Outcome<u64> {
    for (&channel, client) in &*clients {
        let mut payment = message_to(engine, channel, OpCode::Request)?;
        payment.body_mut().append(&client.amount.to_be_bytes())?;
        group.post(payment)?;
    }
    let total = clients.len() as u64 * PAYMENTS;
    for _ in 0..total {
        let mut message = next_of_peer(group)?;
        let client = clients.get_mut(&message.channel_number());
        let client = client.ok_or("a balance of nobody")?;
        client.payments += 1;
        let name = message.text_headers().get(NAME);
        if name != Some(client.name.as_bytes())
            || number_in(&message)? != client.payments * client.amount
        {
            return Err(format!("{} has a wrong balance", client.name).into());
        }
        if client.payments < PAYMENTS {
            // What was an answer goes out as the next payment.
            message.set_op_code(OpCode::Request);
            message.set_message_id(MessageId::UNASSIGNED);
            message.text_headers_mut().clear();
            message.body_mut().replace(&client.amount.to_be_bytes())?;
            group.post(message)?;
        }
    }
    Ok(total)
}

fn leave(engine: &Reactor, group: &ChannelGroup, clients: &Clients) -> Outcome {
    for &channel in clients.keys() {
        group.post(message_to(engine, channel, OpCode::ByeRequest)?)?;
    }
    Ok(())
}
