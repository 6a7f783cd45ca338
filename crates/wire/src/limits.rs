//! What a peer may send at most: every length and every count has its limit here.
//!
//! A limit is checked before memory is taken. Raising one is compatible only if both sides learn of it,
//! so a change here is a new [`REVISION`](crate::REVISION), except for those that `Hello` negotiates.

use std::time::Duration;

/// Header of a frame.
pub const HEADER_BYTES: usize = 16;

/// Most content in one frame: large enough that calls do not matter, small enough that other frames
/// need not wait long behind it.
pub const CONTENT_BYTES: usize = 256 * 1024;

/// Body of a frame: content, and the little that stands before it.
pub const BODY_BYTES: usize = CONTENT_BYTES + 1024;

/// A name in a directory: what Linux, macOS and the BSDs allow.
pub const NAME_BYTES: usize = 255;

/// A path as the user typed it.
pub const OPERATOR_PATH_BYTES: usize = 64 * 1024;

/// Where a symbolic link leads to.
pub const LINK_TEXT_BYTES: usize = 64 * 1024;

/// Name of an extended attribute: what Linux allows.
pub const ATTRIBUTE_NAME_BYTES: usize = 255;

/// Value of an extended attribute or of an ACL: what Linux allows.
pub const ATTRIBUTE_VALUE_BYTES: usize = 64 * 1024;

/// Name of a user or a group: what rsync can send, and more than systems allow.
pub const OWNER_NAME_BYTES: usize = 255;

/// Extended attributes that travel with their entry, names and values together. With all else that an
/// entry may carry this fits one frame.
pub const INLINE_ATTRIBUTES_BYTES: usize = 32 * 1024;

/// Extended attributes in one frame of their own, names and values together.
pub const ATTRIBUTES_BYTES: usize = 192 * 1024;

/// Extended attributes in one list: Linux lists 64 KiB of names, and most have more than ten bytes.
pub const ATTRIBUTES: usize = 8 * 1024;

/// Entries in one page of a listing.
pub const PAGE_ENTRIES: usize = 4096;

/// Extents in one frame.
pub const EXTENTS: usize = 8 * 1024;

/// Files in one request to fetch some.
pub const FETCHED_FILES: usize = 64;

/// Spans in one request for digests or blocks.
pub const DIGEST_SPANS: usize = 4096;

/// Digests in one response: with all else that stands there they fit one frame.
pub const DIGESTS: usize = 4096;

/// Chunks in one response, as the `delta` crate writes them: 4,097 of the shortest, and a little more.
pub const CHUNKS_BYTES: u32 = 84 * 1024;

/// Bits for the blocks of one response: as many as the longest has, and one more for each span.
pub const BLOCK_MAP_BYTES: usize = (READ_BYTES as usize / 4096 + DIGEST_SPANS) / 8;

/// What the bytes of an image are stored in: disks below disks. Of more it is not known all.
pub const GROUNDS: usize = 256;

/// Where something is mounted, as it is shown.
pub const MOUNT_POINT_BYTES: usize = 4096;

/// What a file that is fetched with others takes of their room beside its content and its attributes: what
/// it is before and after.
pub const FETCHED_FILE_COST_BYTES: u32 = 512;

/// Handles in one request to close some.
pub const CLOSED_HANDLES: usize = 4096;

/// Longest digest: SHA-1 has 20 bytes, BLAKE3 32.
pub const DIGEST_BYTES: usize = 64;

/// The signature of one piece: 1,024 blocks of the longest sums, and what stands before them.
pub const SIGNATURE_BYTES: usize = 24 * 1024;

/// Signatures that one request searches with: the largest window.
pub const BASIS_SIGNATURES: usize = 32;

/// Signatures that a responder keeps at the same time; each is also counted as a handle.
pub const SIGNATURES: usize = 1024;

/// Most bytes that one `Read` may ask for.
pub const READ_BYTES: u32 = 16 * 1024 * 1024;

/// Most bytes beyond the fixed ones that another request may leave room for.
pub const ROOM_BYTES: u32 = 16 * 1024 * 1024;

/// Room that a listing leaves at least: any entry fits that is reduced to its name.
pub const LIST_ROOM_LEAST_BYTES: u32 = 4096;

/// Text of an error of the operating system.
pub const FAULT_TEXT_BYTES: usize = 1024;

/// Text of what ends a session.
pub const FAILURE_TEXT_BYTES: usize = 4096;

/// Text of a version, as `0.1.0`. Fits the one byte that its length has for all time.
pub const VERSION_BYTES: usize = 64;

/// Body of a greeting, all revisions to come included.
pub const GREETING_BYTES: usize = 4096;

/// What is kept of the words of a login shell, to show them.
pub const NOISE_BYTES: usize = 256;

/// The job, as its owner encodes it. A list of files may be in it.
pub const WORK_BYTES: u64 = 256 * 1024 * 1024;

/// One piece of the job.
pub const WORK_PIECE_BYTES: usize = CONTENT_BYTES;

/// One event of a run: two paths and a little more.
pub const EVENT_BYTES: usize = CONTENT_BYTES;

/// Events on their way to a controller that has not yet taken them.
pub const EVENT_WINDOW_BYTES: u64 = 1024 * 1024;

/// Numbers for the progress display.
pub const PROGRESS_BYTES: usize = 16 * 1024;

/// How a run ended.
pub const OUTCOME_BYTES: usize = 64 * 1024;

/// Offers of lanes and wishes for lanes in one session: each leads to sockets, so they end somewhere.
pub const LANE_TALKS: u32 = 1024;

/// What one side tells of a direct session: each is told once or twice.
pub const DIRECT_TALKS: u32 = 8;

/// Addresses in one offer of lanes.
pub const ADDRESSES: usize = 64;

/// One address in text, as `2001:db8::1` or a host name (RFC 1035).
pub const ADDRESS_BYTES: usize = 255;

/// Ports in one offer of lanes.
pub const PORTS: usize = 256;

/// What shows that a process belongs to the controller: a name of 16 bytes and a key of 32.
pub const PASS_BYTES: usize = 48;

/// Lanes that a session has at the same time.
pub const LANES: usize = 256;

/// Lanes that a session loses in its life. One that loses more is at its end.
pub const LANES_LOST: usize = 4096;

/// Requests that a responder holds at the same time.
pub const REQUESTS: u32 = 16 * 1024;

/// Requests that may wait in a requester until the window lets them go.
pub const REQUESTS_WAITING: usize = 64 * 1024;

/// Handles that a responder holds at the same time.
pub const HANDLES: u32 = 64 * 1024;

/// Outstanding cost of requests, see [`credit_for`]: the product of 10 Gbit/s and 400 ms.
pub const WINDOW_BYTES: u64 = 512 * 1024 * 1024;

/// What a window begins with unless the caller says otherwise.
pub const WINDOW_DEFAULT_BYTES: u64 = 64 * 1024 * 1024;

/// Smallest window: the largest request must fit.
pub const WINDOW_LEAST_BYTES: u64 = 20 * 1024 * 1024;

/// Credit of a request whose response is one small frame: metadata, or a fault with its text.
pub const CREDIT_LEAST_BYTES: u64 = 2048;

/// What a responder keeps of the credit for a fault: header, text, and the little between.
pub const FAULT_COST_BYTES: u64 = 1024 + 64;

/// Content that a frame of a long response has on average at least, but for the last.
pub const PIECE_LEAST_BYTES: u64 = 16 * 1024;

/// What a frame costs beyond its content: its header and the little before the content.
pub const PIECE_COST_BYTES: u64 = 64;

/// A lane that has nothing else to say says so after this time.
pub const KEEPALIVE: Duration = Duration::from_secs(5);

/// A lane that was silent for so long is dead.
pub const SILENCE: Duration = Duration::from_secs(30);

/// The greeting must be complete after this time: a login may ask for nothing then any more.
pub const GREETING: Duration = Duration::from_secs(30);

/// The credit of a request whose response has so many bytes of content.
///
/// All frames of a response count against it with header and body. What they have beyond the content
/// is paid for pieces of [`PIECE_LEAST_BYTES`].
pub fn credit_for(content_bytes: u32) -> u64 {
    let content = u64::from(content_bytes);
    content + content / PIECE_LEAST_BYTES * PIECE_COST_BYTES + CREDIT_LEAST_BYTES
}
