//! With the feature `isal`: igzip of Intel's ISA-L, its level 1.

use isal::{Codec, CompressionLevel, compress_into};

/// A gzip encoder. It keeps nothing: ISA-L's state is small, and made for each body.
#[derive(Default)]
pub struct Compressor;

impl Compressor {
    /// Compresses `body` into one gzip member at the end of `out`.
    pub fn compress(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        // Bytes that cannot be compressed are stored, with 5 more for each 64 KiB, and gzip's frame has 18.
        let most = body.len() + body.len() / 1_000 + 1_024;
        for room in [super::usual(body.len()).min(most), most] {
            out.resize(begin + room, 0);
            if let Ok(length) = compress_into(body, &mut out[begin..], CompressionLevel::One, Codec::Gzip) {
                out.truncate(begin + length);
                return;
            }
        }
        unreachable!("gzip of {} bytes does not fit in {most}", body.len());
    }
}
