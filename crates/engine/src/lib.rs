//! The stages from listing to finalizing, and what is decided in them.
