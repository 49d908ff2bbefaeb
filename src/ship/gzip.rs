//! Gzip of a whole body at once.
//!
//! Compression takes most of an agent's processor time, so the state is made once and used again, and the
//! encoder sees the whole body in one call (a new encoder with small writes costs a fifth more).

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
        // Logs shrink to a tenth or so; what is reserved beyond is given back by the caller's next use.
        out.reserve(body.len() / 6 + 64);
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn unzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn used_again_it_still_makes_whole_members() {
        let mut compressor = Compressor::default();
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = (0..300_000).map(|_| random.u8(..)).collect();
        for body in [b"".as_slice(), b"{}\n", &noise, &b"the same line\n".repeat(50_000), &noise[..1]] {
            let mut out = b"before".to_vec();
            compressor.compress(body, &mut out);
            assert_eq!(&out[..6], b"before");
            assert_eq!(unzip(&out[6..]), body);
        }
    }
}
