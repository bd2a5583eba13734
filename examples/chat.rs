//! A chat in terminals: one hosts, any number join, and everybody sees what anybody says.
//!
//! ```text
//! $ cargo run --release --example chat -- host helen        # in one terminal
//! hosting on tcp|127.0.0.1|7099
//! * anna has joined
//! anna: good morning
//! nice to see you                                           # typed
//! * anna has left
//! $ cargo run --release --example chat -- join anna         # in another
//! connected to tcp|127.0.0.1|7099
//! * here are: helen
//! good morning                                              # typed
//! helen: nice to see you
//! /quit                                                     # typed
//! ```
//!
//! A third argument is the address (see `first_server` for its forms). `/quit` or the end of input
//! leaves. A thread reads what is typed and hands it to the receiving thread by `update_receiver`, so
//! that keyboard and peers are waited for in one place. The one who hosts passes every line on to the
//! others; whoever reads so slowly that the send queue is full misses lines, and delays nobody.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::thread;
use std::time::Duration;

use tofu::prelude::*;
use tofu_examples::{Outcome, message_to, unexpected};

const ADDRESS: &str = "tcp|127.0.0.1|7099";

/// Text header of a HelloRequest and of a line: whose it is. A Signal without is about somebody.
const NAME: &str = "Name";

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (role, name, address) = match arguments[..] {
        [role @ ("host" | "join"), name] => (role, name, ADDRESS),
        [role @ ("host" | "join"), name, address] => (role, name, address),
        _ => return Err("what to do? host NAME [ADDRESS], or join NAME [ADDRESS]".into()),
    };
    let engine = Reactor::start(Options::default())?;
    let mut chat = Chat {
        name: name.to_owned(),
        is_host: role == "host",
        group: engine.create()?,
        others: BTreeMap::new(),
        is_leaving: false,
        engine,
    };
    chat.open(address.parse()?)?;
    let poster = chat.group.poster();
    thread::spawn(move || {
        read_keyboard(&poster).ok();
        poster.update_receiver(None).ok();
    });
    chat.talk()?;
    chat.engine.shutdown(Duration::from_secs(1));
    Ok(())
}

/// Hands on each line that is typed, until there are no more.
fn read_keyboard(poster: &Poster) -> Outcome {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.trim() {
            "/quit" => break,
            "" => {}
            text => {
                let mut message = Message::new(OpCode::Signal);
                message.body_mut().append(text.as_bytes())?;
                poster.update_receiver(Some(message.into()))?;
            }
        }
    }
    Ok(())
}

struct Chat {
    name: String,
    is_host: bool,
    engine: Reactor,
    group: ChannelGroup,
    /// To whom we are connected: who joined, or for those who joined the host alone.
    others: BTreeMap<ChannelNumber, String>,
    is_leaving: bool,
}

impl Chat {
    /// Listens or connects. How that went comes as a message, like everything else.
    fn open(&mut self, endpoint: Endpoint) -> Outcome {
        let mut message = self.engine.message()?;
        if self.is_host {
            Address::listen_on(endpoint).format(&mut message)?;
        } else {
            Address::connect_to(endpoint).format(&mut message)?;
            message.text_headers_mut().append(NAME, &self.name)?;
        }
        let channel = self.group.post(message)?.channel_number;
        if !self.is_host {
            self.others.insert(channel, "the host".to_owned());
        }
        Ok(())
    }

    /// Takes what comes from the keyboard, from the others and from the engine, until it is over.
    fn talk(&mut self) -> Outcome {
        while let Some(message) = self.group.wait_receive(Duration::MAX)? {
            let channel = message.channel_number();
            match Incoming::from(message) {
                Incoming::Update(line) if line.body().is_empty() => self.leave()?,
                Incoming::Update(line) => self.tell(Some(&self.name), line.body(), None)?,
                Incoming::Peer(message) => self.hear(message)?,
                Incoming::Engine(Notice::ListenerReady, message) => {
                    println!("hosting on {}", Address::parse(&message)?);
                }
                Incoming::Engine(Notice::ChannelClosed(info), _) => {
                    let is_good = info.cause.status().is_success();
                    self.lose(channel, if is_good { "left" } else { "been lost" })?;
                }
                failed @ Incoming::Engine(Notice::ListenFailed | Notice::ConnectFailed, _) => {
                    return Err(unexpected(&failed));
                }
                // What a channel that ends had not sent, or pauses that end by themselves.
                Incoming::Engine(..) => {}
            }
            if self.is_leaving && self.others.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What one of the others says.
    fn hear(&mut self, mut message: Msg) -> Outcome {
        let channel = message.channel_number();
        let name = message.text_headers().get(NAME).map(readable);
        match message.op_code() {
            OpCode::HelloRequest if !self.is_leaving => {
                self.welcome(name.unwrap_or_else(|| "somebody".to_owned()), message)
            }
            // Too late.
            OpCode::HelloRequest => {
                message.set_op_code(OpCode::ByeSignal);
                self.post(message);
                Ok(())
            }
            OpCode::HelloResponse => {
                println!("connected to {}", Address::parse(&message)?);
                println!("* here are: {}", readable(message.body()));
                Ok(())
            }
            OpCode::Signal => {
                let text = readable(message.body());
                match &name {
                    Some(name) => println!("{name}: {text}"),
                    None => println!("* {text}"),
                }
                self.tell(name.as_deref(), message.body(), Some(channel))
            }
            // A ByeRequest is answered, to its answer there is nothing to say.
            _ => {
                if message.make_reply().is_some() {
                    self.post(message);
                }
                Ok(())
            }
        }
    }

    /// Tells somebody new who is here, and those who are here of somebody new.
    fn welcome(&mut self, name: String, mut hello: Msg) -> Outcome {
        let channel = hello.channel_number();
        let mut here = self.name.clone();
        for other in self.others.values() {
            here.push_str(", ");
            here.push_str(other);
        }
        hello.body_mut().replace(here.as_bytes())?;
        hello.make_reply();
        self.post(hello);
        self.announce(&format!("{name} has joined"), Some(channel))?;
        self.others.insert(channel, name);
        Ok(())
    }

    /// Somebody is not there any more.
    fn lose(&mut self, channel: ChannelNumber, how: &str) -> Outcome {
        let Some(name) = self.others.remove(&channel) else {
            return Ok(());
        };
        if self.is_host {
            return self.announce(&format!("{name} has {how}"), None);
        }
        if !self.is_leaving {
            println!("* {name} has {how}");
        }
        self.is_leaving = true;
        Ok(())
    }

    /// Tells everybody, ourselves included, what has happened.
    fn announce(&self, text: &str, except: Option<ChannelNumber>) -> Outcome {
        println!("* {text}");
        self.tell(None, text.as_bytes(), except)
    }

    fn tell(&self, name: Option<&str>, text: &[u8], except: Option<ChannelNumber>) -> Outcome {
        for &channel in self.others.keys().filter(|&&other| Some(other) != except) {
            let mut message = message_to(&self.engine, channel, OpCode::Signal)?;
            message.body_mut().append(text)?;
            if let Some(name) = name {
                message.text_headers_mut().append(NAME, name)?;
            }
            self.post(message);
        }
        Ok(())
    }

    /// Says Bye to all; it is over when all channels have had their last word.
    fn leave(&mut self) -> Outcome {
        self.is_leaving = true;
        for &channel in self.others.keys() {
            self.post(message_to(&self.engine, channel, OpCode::ByeRequest)?);
        }
        Ok(())
    }

    /// Who cannot be told anything is slow or about to be gone; in that case the last word comes.
    fn post(&self, message: Msg) {
        let _refused = self.group.post(message);
    }
}

/// The text without what could play tricks on a terminal.
fn readable(text: impl AsRef<[u8]>) -> String {
    let text = String::from_utf8_lossy(text.as_ref());
    text.chars().filter(|char| !char.is_control()).collect()
}
