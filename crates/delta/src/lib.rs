//! What of a changed file must go over the wire, found by rolling checksums.
//!
//! The side that has the old file (the *basis*) sends sums of its blocks, the side that has the new
//! one answers with operations: copy these bytes of the basis, or take these literal ones. The
//! algorithm is that of A. Tridgell and P. Mackerras, "The rsync algorithm", TR-CS-96-05, Australian
//! National University, 1996; the sums, the index and the windows are our own.
//!
//! In the order of data:
//!
//! 1. [`Seed`]: drawn by the caller for each transfer, the same on both sides. All sums depend on it,
//!    so nobody can make a tree in advance whose sums collide.
//! 2. [`Plan`]: cuts both files, so that each range of the new one can be searched by another worker
//!    in bounded memory, and fixes the [`Shape`]: lengths of blocks and sums.
//! 3. [`Signature`]: the sums of a piece of the basis, made where the basis is, and as bytes.
//! 4. [`Index`]: the signatures of a window, ready to be looked up.
//! 5. [`Search`]: new bytes in, [`Operation`]s out.
//! 6. [`Encoder`] and [`Decoder`]: operations as bytes.
//! 7. [`Patch`]: applies operations where the basis is.
//!
//! Of an image that is made where the old one lies, [`chunks`] and [`moved`] find what was shifted: both
//! sides cut theirs where its content says, and sums of a three thousandth of its length are sent.
//!
//! The crate opens no file and knows no wire: bytes come through closures and go to closures. What
//! came over a wire is trusted in nothing: every count is checked before memory is taken for it, and
//! the work for each byte is bounded whatever the peer has sent.
//!
//! A sum may deceive, though hardly ever (see [`Shape::for_lengths`]). Who patches must therefore
//! compare a hash of the whole new file at the end, and if it differs do it again with another seed
//! and [`Shape::strongest`].

mod varint;

mod seed;

mod rolling;

mod strong;

mod shape;

mod plan;

mod signature;

mod index;

mod operation;

mod search;

mod patch;

/// Which blocks of a stretch change.
pub mod blocks;

/// BLAKE3 of an image, of its parts.
pub mod image;

/// Content-defined chunks, for what was shifted as a whole.
pub mod chunks;

/// Where the content of a new image lies in an old one.
pub mod moved;

/// Everything that decodes, in one call, for fuzzing.
pub mod fuzzing;

#[cfg(test)]
mod reference;

pub use index::{Index, IndexError};
pub use operation::{Decoder, Encoder, MAX_LITERAL_BYTES, Operation, OperationError, Operations};
pub use patch::{Output, Patch, PatchError};
pub use plan::{Part, Plan};
pub use rolling::{Rolling, WeakKey};
pub use search::Search;
pub use seed::Seed;
pub use shape::{MAX_BLOCK_BYTES, MAX_BLOCKS, MAX_STRONG_BYTES, Shape, ShapeError};
pub use signature::{Signature, SignatureError};
pub use strong::{StrongKey, StrongSum, StrongSumming};

/// Where the new file comes into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Update {
    /// Beside the basis, which stays whole until the new file is complete.
    Apart,
    /// Over the basis itself (`--inplace`): a byte of it that has been written over is gone.
    InPlace,
}
