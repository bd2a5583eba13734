//! The helpers over real engines: one program, one module per helper.

#![cfg(test)]

mod service;
mod streams;
