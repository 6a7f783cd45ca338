//! Turns events into lines, a progress display and JSON.
