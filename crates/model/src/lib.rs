//! The vocabulary of lanesync: plain data, no I/O.
