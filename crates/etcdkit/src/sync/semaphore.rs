//! Semaphores: so many holders at a time.
