//! What an application and a peer see of the engine, case by case, on TCP and on UDS.
//!
//! Every test states the exact sequence of messages on both sides and that nothing follows. The
//! modules: the harness; what becomes of listening, connecting, closing, losing the peer, ending a
//! group or an engine, and of the engine's notices; what may be posted; what a peer may send, as
//! a table and as recorded frames.

#![cfg(test)]

mod bye;
mod connect;
mod data;
mod ends;
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
mod tails;
mod vectors;
