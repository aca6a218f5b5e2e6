//! How the C library's allocator treats large blocks.

/// Keeps freed blocks in the process, on Linux with glibc; elsewhere this does nothing.
///
/// By default glibc maps every block above 128 KiB anew and gives it back when freed. A training step allocates thousands of
/// those, and each costs a page fault and a cleared page per 4 KiB.
pub fn keep_freed_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The largest threshold that glibc takes: `HEAP_MAX_SIZE / 2`.
        const LARGEST_BYTES: libc::c_int = 32 << 20;
        /// Free memory at the top of the heap that is kept.
        const KEPT_BYTES: libc::c_int = 1 << 30;
        // SAFETY: both calls only set a parameter of the allocator; this runs before any other thread starts.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_BYTES);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
        }
    }
}
