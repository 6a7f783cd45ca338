//! What a cluster tells.
