//! Two agents that meet within one process.
