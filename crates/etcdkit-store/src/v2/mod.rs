//! The key space of etcd's v2 API: directories, indexes, a history of a thousand events, and who watches.
