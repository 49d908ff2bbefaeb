//! The default: zlib-rs, by way of flate2.

use flate2::{Compress, Compression, FlushCompress, Status};

/// Level 1: the higher ones cost more processor than their smaller bodies save (`benches/ship.rs`).
const LEVEL: u32 = 1;
/// 32 KiB, the largest window of deflate.
const WINDOW_BITS: u8 = 15;

/// A gzip encoder that is used again and again.
pub struct Compressor {
    state: Compress,
}

impl Default for Compressor {
    fn default() -> Self {
        Self { state: Compress::new_gzip(Compression::new(LEVEL), WINDOW_BITS) }
    }
}

impl Compressor {
    /// Compresses `body` into one gzip member at the end of `out`.
    pub fn compress(&mut self, body: &[u8], out: &mut Vec<u8>) {
        self.state.reset();
        out.reserve(super::usual(body.len()));
        loop {
            let taken = self.state.total_in() as usize;
            match self.state.compress_vec(&body[taken..], out, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => return,
                // Out of room: more of it, and on.
                Ok(Status::Ok | Status::BufError) => out.reserve((out.capacity() / 2).max(64)),
                // Deflate can only fail on a stream that was already ended, and this one was just reset.
                Err(error) => unreachable!("gzip of {} bytes: {error}", body.len()),
            }
        }
    }
}
