//! A block of text: where the first byte is that JSON wants escaped.
//!
//! Each byte of a log is asked. Left to the compiler the question took 15 instructions for each of them, in words of
//! eight bytes it takes two, and by the registers that every x86-64 has, less than one: a fifth of the whole way of a
//! line. That is what the `unsafe` here is for.

/// How many bytes are looked at together: a register of any x86-64 or aarch64.
pub(super) const BLOCK: usize = 16;

/// Where the first special byte of the block is.
#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "the instructions have no safe door but within a function like them")]
pub(super) fn first_special(block: &[u8; BLOCK]) -> Option<usize> {
    // SAFETY: SSE2 is part of x86-64, so that each processor which runs this has it.
    unsafe { of_registers(block) }
}

/// One comparison of all bytes for each kind of special byte.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn of_registers(block: &[u8; BLOCK]) -> Option<usize> {
    use std::arch::x86_64 as simd;
    let [low, high] = halves(block).map(u64::cast_signed);
    let bytes = simd::_mm_set_epi64x(high, low);
    let quotes = simd::_mm_cmpeq_epi8(bytes, simd::_mm_set1_epi8(b'"'.cast_signed()));
    let backslashes = simd::_mm_cmpeq_epi8(bytes, simd::_mm_set1_epi8(b'\\'.cast_signed()));
    // A byte that is at most 0x1f is the lesser of both.
    let controls = simd::_mm_cmpeq_epi8(simd::_mm_min_epu8(bytes, simd::_mm_set1_epi8(0x1f)), bytes);
    let hits = simd::_mm_or_si128(simd::_mm_or_si128(quotes, backslashes), controls);
    let hits = simd::_mm_movemask_epi8(hits);
    (hits != 0).then(|| hits.trailing_zeros() as usize)
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) use of_words as first_special;

/// The same on any processor, eight bytes at a time.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
pub(super) fn of_words(block: &[u8; BLOCK]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST_BITS: u64 = ONES << 7;
    // The lowest byte whose highest bit is set is below the limit; of those above it a borrow may say so, too.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let hits = |word: u64| {
        let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        (below(word, 0x20) | is(b'"') | is(b'\\')) & HIGHEST_BITS
    };
    let [low, high] = halves(block).map(hits);
    let (hits, before) = if low != 0 { (low, 0) } else { (high, 8) };
    (hits != 0).then(|| before + hits.trailing_zeros() as usize / 8)
}

/// The first byte is the lowest.
#[inline]
fn halves(block: &[u8; BLOCK]) -> [u64; 2] {
    let half = |begin: usize| u64::from_le_bytes(std::array::from_fn(|at| block[begin + at]));
    [half(0), half(8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_find_the_same() {
        let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
        for other in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0x9f, 0xa2, 0xdc, 0xff, b'"', 0x1f] {
            for (byte, at) in (0..=u8::MAX).flat_map(|byte| (0..BLOCK).map(move |at| (byte, at))) {
                let mut block = [other; BLOCK];
                block[at] = byte;
                let expected = block.iter().position(is_special);
                assert_eq!(first_special(&block), expected, "{block:?}");
                assert_eq!(of_words(&block), expected, "{block:?}");
            }
        }
    }
}
