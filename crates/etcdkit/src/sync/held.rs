//! What is held: a key in the store, and writes that are done only while it is there.
