//! What the allocator may keep for itself.
//!
//! glibc takes large blocks from the system and gives them back, but each that is freed makes it believe that blocks of
//! its size are common, and then it keeps them: bodies of 5 MiB, up to 64 MiB per thread. Told once how large is large,
//! it no longer learns. Measured after a backlog of 200 MB, resident and not of a file: 12.6 in place of 30.6 MB.
//! Other allocators of ours (musl's) give large blocks back by themselves.

/// From this size on a block is the system's: larger than anything that is allocated often, far smaller than a body.
#[cfg(target_env = "gnu")]
const LARGE: i32 = 256 * 1024;

/// Makes the allocator give back what is large. To be called when the process begins.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "mallopt has no safe door")]
pub fn give_back_what_is_large() {
    // SAFETY: mallopt takes two numbers, touches none of our memory, and may be called at any time.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Nothing is to be done.
#[cfg(not(target_env = "gnu"))]
pub fn give_back_what_is_large() {}
