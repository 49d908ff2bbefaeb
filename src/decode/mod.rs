//! Decode: what did the runtime write?
