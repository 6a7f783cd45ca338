//! The names of a directory of another host, and nothing else: not even the text of a link is read there,
//! which would change its access time before it is brought over
//! (`access_times_of_links_are_brought_over`).

use std::io;

use fs::Listing;
use wire::{PageEnd, Wants};

use super::dir::{PAGE_BYTES, RemoteDir};

impl RemoteDir {
    /// All names in it. What is told of its entries, or is on its way, stays as it is.
    pub(crate) fn list_names(&self) -> io::Result<Listing> {
        let (mut listing, mut after) = (Listing::default(), None);
        loop {
            let (entries, end) = self.ask_for_page(after, Wants::empty(), PAGE_BYTES[0])?;
            for entry in &entries {
                listing.push(entry.name.as_bytes(), entry.kind)?;
            }
            match end {
                PageEnd::More => after = entries.last().map(|entry| entry.name.clone()),
                PageEnd::Complete => return Ok(listing),
                PageEnd::Incomplete(fault) if listing.is_empty() => {
                    return Err(self.remote().fault(&fault));
                }
                PageEnd::Incomplete(fault) => {
                    listing.break_off(self.remote().fault(&fault));
                    return Ok(listing);
                }
            }
        }
    }
}
