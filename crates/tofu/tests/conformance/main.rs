//! What an application and a peer see of the engine, case by case, on TCP and on UDS.
//!
//! Every test states the exact sequence of messages on both sides and that nothing follows.
//!
//! - `seen`, `harness`, `raw`, `data`: messages as they are compared, engines, raw peers, recorded
//!   frames.
//! - `face`: by calls that wait, or by futures (feature `async`, which the examples switch on in the
//!   workspace): the same scenarios must be seen.
//! - `listen`, `connect`, `bye`, `loss`, `tails`, `races`, `group_ends`, `engine_ends`: what becomes
//!   of what the application asked for, and how channels end.
//! - `notices`, `receive`: what else the engine says, and how it is received.
//! - `post_checks`: what `post` refuses, in its order.
//! - `ingress`, `malformed`, `vectors`: what a peer may send, as a table, as hostile bytes, and
//!   frame by frame as recorded.

#![cfg(test)]

mod bye;
mod connect;
mod data;
mod engine_ends;
mod face;
mod group_ends;
mod harness;
mod ingress;
mod listen;
mod loss;
mod malformed;
mod notices;
mod post_checks;
mod races;
mod raw;
mod receive;
mod seen;
mod tails;
mod vectors;
