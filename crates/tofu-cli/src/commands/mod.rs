//! The commands, one module each: its arguments with their help and examples, and what it does.

pub(crate) mod decode;
pub(crate) mod documents;
pub(crate) mod listen;
pub(crate) mod perf;
pub(crate) mod ping;
pub(crate) mod send;
