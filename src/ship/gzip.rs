//! Gzip of a whole body at once.
//!
//! Compression takes most of an agent's processor time, so the state is made once and used again, and the
//! encoder sees the whole body in one call (a new encoder with small writes costs a fifth more). Which library does
//! it is decided when the agent is built: zlib-rs, or with the feature `isal` Intel's ISA-L, which takes 40 % less
//! time for bodies that are a quarter smaller, and wants nasm and autotools to be built (`docs/performance.md`).

#[cfg(feature = "isal")]
mod isal;
#[cfg(not(feature = "isal"))]
mod zlib;

#[cfg(feature = "isal")]
pub use isal::Compressor;
#[cfg(not(feature = "isal"))]
pub use zlib::Compressor;

/// What is reserved for a body: logs shrink to a tenth or so.
fn usual(length: usize) -> usize {
    length / 6 + 64
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
