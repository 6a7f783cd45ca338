//! Where lists and the journal are kept: a file of the working folder, or memory in tests.

use std::io;

/// Bytes that grow at their end and are read at any place.
pub trait Store {
    /// Writes all of `bytes` at `offset`.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads until `buffer` is full or there is no more; says how many bytes came.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// How many bytes there are.
    fn size(&self) -> io::Result<u64>;

    /// Drops all that lies behind the first `len` bytes.
    fn cut(&self, len: u64) -> io::Result<()>;

    /// Waits until what was written is on the disk.
    fn sync(&self) -> io::Result<()>;
}

impl Store for fs::File {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        Self::write_all_at(self, bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Self::read_at(self, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.size)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A store of memory.
#[cfg(test)]
pub(crate) mod memory {
    use std::cell::RefCell;
    use std::io;

    use super::Store;

    /// Bytes in memory; a copy shares nothing with what it was made of.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Memory(pub(crate) RefCell<Vec<u8>>);

    impl Store for Memory {
        fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            let mut held = self.0.borrow_mut();
            let begin = usize::try_from(offset).map_err(io::Error::other)?;
            let end = begin + bytes.len();
            if held.len() < end {
                held.resize(end, 0);
            }
            held[begin..end].copy_from_slice(bytes);
            Ok(())
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let held = self.0.borrow();
            let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(held.len());
            let count = buffer.len().min(held.len() - begin);
            buffer[..count].copy_from_slice(&held[begin..begin + count]);
            Ok(count)
        }

        fn size(&self) -> io::Result<u64> {
            Ok(self.0.borrow().len() as u64)
        }

        fn cut(&self, len: u64) -> io::Result<()> {
            let len = usize::try_from(len).map_err(io::Error::other)?;
            self.0.borrow_mut().truncate(len);
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }
}
