//! The helpers over real engines: one program, one module per helper.

#![cfg(test)]

mod calls;
mod connector;
mod heartbeat;
mod kills;
mod ledger;
mod server;
mod service;
mod streams;
