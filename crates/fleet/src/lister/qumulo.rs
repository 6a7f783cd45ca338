//! A tree on a Qumulo cluster, told without a crawl.
//!
//! A cluster keeps for each directory the sums of all that lies below it. One request gives those of a
//! directory and of its 5,000 largest children, and whether these are all of them: the numbers of files,
//! directories, links and other things add up, or they do not. So a directory that is not opened costs
//! nothing, and one that is opened costs one request. Only where children are missing from the answer they
//! are read for themselves, 5,000 a request, and share what is left of the sums (`rest.rs`).
//!
//! What sums cannot tell: which files have more than one name. [`Found::links`] is told of files that were
//! read for themselves alone, so two names of one file may come to lie in two buckets.
//!
//! What counts as a file's bytes is what the sums are of: blocks, not its length.

use std::mem;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use model::{Cause, Fault, Inode, Kind, Side, Verb};
use parking_lot::Mutex;
use sched::Cancel;

use self::answer::{Aggregates, Child, Page, Row, Snapshot};
use self::client::{Client, Denied, NoAnswer};
use self::names::Names;
use self::place::{Place, join};
use self::rest::{Follows, Item, Rest};
use self::seen::Seen;
use super::{Below, Found, Links, Lister, Refused, Root, TellError, Why};
use crate::amount::Amount;

mod address;
mod answer;
mod client;
mod names;
mod patience;
mod place;
mod rest;
mod saved;
mod secret;
mod seen;
mod transport;
mod trust;

pub use address::{Address, AddressError};
pub use patience::Patience;
pub use saved::{Saved, parse_saved, read_saved, saved_paths};
pub use secret::Secret;

#[cfg(test)]
mod tests;

/// Where a password may be, beside a file. No command that is run finds it there.
pub const PASSWORD_VARIABLE: &str = "LANESYNC_QUMULO_PASSWORD";

/// The port of the REST API.
pub const PORT: u16 = 8000;

/// As many children as a cluster gives sums of, and as many as are read for themselves in one request.
const MOST_CHILDREN: u64 = 5_000;

/// What a cluster counts in.
const BLOCK_BYTES: u64 = 4_096;

/// A cluster, and what is asked of it.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its name or address; one of IPv6 without brackets.
    pub host: String,
    /// The port of its REST API; usually [`PORT`].
    pub port: u16,
    /// Whether it is who it says.
    pub tls: Tls,
    /// Who asks.
    pub login: Login,
    /// The directory, from the root of the cluster.
    pub path: Vec<u8>,
    /// The snapshot that is looked at instead of what is there now.
    pub snapshot: Option<u64>,
    /// What counts.
    pub counted: Counted,
    /// So many requests at once.
    pub in_flight: NonZeroUsize,
    /// How long it is waited for.
    pub patience: Patience,
}

impl Cluster {
    /// As many requests at once as a cluster answers without being slowed down by them.
    pub const IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(16).expect("sixteen is not zero");
}

/// Whether a cluster is who it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Its certificate is checked.
    Verified {
        /// Against those in this file and no others, instead of those that this host trusts.
        ca: Option<PathBuf>,
    },
    /// Its certificate may be anyone's. Who does that should say so to the user.
    Unverified,
    /// It has none: everybody between reads all of it, the password too.
    PlainHttp,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// A user, who logs in, and again whenever that has expired.
    Password {
        /// Who.
        user: String,
        /// By what.
        password: Secret,
    },
    /// Somebody who has logged in elsewhere, or has a token for good.
    Token(Secret),
}

/// What counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    /// The blocks of content and those that describe it, of directories too.
    #[default]
    Capacity,
    /// The blocks of content.
    Data,
    /// The names. Bytes are those of [`Counted::Data`].
    Files,
}

impl Counted {
    /// By which sum a cluster chooses the largest children.
    fn order(self) -> &'static str {
        match self {
            Self::Capacity => "total_blocks",
            Self::Data => "total_datablocks",
            Self::Files => "total_files",
        }
    }

    fn bytes_of_row(self, row: &Row) -> u64 {
        match self {
            Self::Capacity => row.capacity_usage.0,
            Self::Data | Self::Files => row.data_usage.0,
        }
    }

    fn bytes_of_child(self, child: &Child) -> u64 {
        let blocks = match self {
            Self::Capacity => child.blocks.0,
            Self::Data | Self::Files => child.datablocks.0,
        };
        blocks.saturating_mul(BLOCK_BYTES)
    }

    fn total(self, sums: &Aggregates) -> Amount {
        let bytes = match self {
            Self::Capacity => sums.total_capacity.0,
            Self::Data | Self::Files => sums.total_data.0,
        };
        Amount { entries: sums.entries(), bytes }
    }

    /// The most bytes of a child without a row, where those with one are the largest.
    fn bound(self, sums: &Aggregates) -> u64 {
        match self {
            Self::Capacity | Self::Data if sums.files.len() as u64 >= MOST_CHILDREN => {
                let rows = sums.files.iter().map(|row| self.bytes_of_row(row));
                rows.min().unwrap_or(u64::MAX)
            }
            _ => u64::MAX,
        }
    }
}

/// Tells a tree on a Qumulo cluster.
pub struct Qumulo {
    client: Client,
    root: Vec<u8>,
    snapshot: Option<u64>,
    counted: Counted,
    /// What could not be told.
    faults: Mutex<Vec<Fault>>,
}

/// A directory of a cluster, or what is left of it.
#[derive(Debug)]
pub struct Part(Ask);

#[derive(Debug)]
enum Ask {
    /// All of a directory.
    Whole(Place),
    /// The same, where the answer is here.
    Answered(Place, Box<Aggregates>),
    /// Those that have no row.
    Page(Box<Remainder>),
}

/// Those children of a directory that have no row.
#[derive(Debug)]
struct Remainder {
    place: Place,
    /// The page to ask for.
    target: String,
    /// What has a row, or was on a page.
    seen: Seen,
    /// The most children that the cluster says there are, where it says so, or that there can be.
    most_children: u64,
    /// What the others share; their number is known with the first page.
    rest: Option<Rest>,
    left: Amount,
    most_bytes: u64,
    /// What was wrong with the names so far.
    names: Names,
}

impl Qumulo {
    /// A cluster that was not asked for anything yet. Pulling `cancel` ends what is asked.
    ///
    /// Fails when its certificate could not be checked.
    pub fn new(cluster: &Cluster, cancel: &Cancel) -> Result<Self, Refused> {
        let client = Client::new(cluster, cancel)?;
        let root = Place::named(&cluster.path).path();
        let faults = Mutex::default();
        Ok(Self { client, root, snapshot: cluster.snapshot, counted: cluster.counted, faults })
    }

    /// What a mover puts before each path: empty, or the directory of the snapshot with a slash at its end.
    /// It asks the cluster.
    pub fn path_prefix(&self) -> Result<Vec<u8>, Refused> {
        let Some(number) = self.snapshot else { return Ok(Vec::new()) };
        // The numbers of the API from the newest on: a cluster knows those of its time.
        for version in ["v3", "v2", "v1"] {
            match self.client.get(&format!("/{version}/snapshots/{number}")) {
                Ok(Snapshot { directory_name: answer::Name(name) }) => {
                    if names::fault_of(&name).is_some() {
                        let sentence = format!(
                            "{}: the directory of snapshot {number} has a name that cannot be one",
                            self.client.name()
                        );
                        return Err(Refused { why: Why::Source, sentence });
                    }
                    return Ok([b".snapshot/", &*name, b"/"].concat());
                }
                Err(NoAnswer::Denied(denied)) if is_another_version(&denied) => {}
                Err(NoAnswer::Denied(denied)) => return Err(self.no_root(&denied)),
                Err(NoAnswer::Over(refused)) => return Err(refused),
            }
        }
        let sentence = format!("{}: there is no snapshot {number}", self.client.name());
        Err(Refused { why: Why::Source, sentence })
    }

    fn sums(&self, place: &Place) -> Result<Aggregates, NoAnswer> {
        let (reference, order) = (place.reference(), self.counted.order());
        let target = format!(
            "/v1/files/{reference}/aggregates/?max-entries={MOST_CHILDREN}&order-by={order}{}",
            self.of_snapshot()
        );
        self.client.get(&target)
    }

    /// What a request says of the snapshot.
    fn of_snapshot(&self) -> String {
        self.snapshot.map(|number| format!("&snapshot={number}")).unwrap_or_default()
    }

    /// Tells the children that have rows; gives what is to be asked for the others.
    fn tell_rows(
        &self,
        place: Place,
        mut sums: Aggregates,
        hear: &mut dyn FnMut(Found<'_, Part>),
    ) -> Vec<Part> {
        let folder: Arc<[u8]> = place.path().into();
        let is_full = sums.files.len() as u64 >= MOST_CHILDREN;
        let most_bytes = self.counted.bound(&sums);
        let mut left = self.counted.total(&sums);
        let most_children = left.entries;
        left.entries -= 1;
        let mut names = Names::default();
        let mut seen = Seen::default();
        sums.files.retain(|row| names.is_first(&row.name.0, seen.row(&row.name.0, row.kind.0)));
        let is_complete = is_complete(&sums, is_full);
        for row in sums.files {
            if let Some(kind) = names.check(&row.name.0, row.kind.0) {
                let amount = match kind {
                    Kind::Directory => {
                        Amount { entries: row.entries(), bytes: self.counted.bytes_of_row(&row) }
                    }
                    _ => Amount::of_one(self.counted.bytes_of_row(&row)),
                };
                left = minus(left, amount);
                hear(found(&folder, &row.name.0, kind, row.id.0, amount));
            }
        }
        if is_complete {
            self.faults.lock().extend(names.end(&folder));
            return Vec::new();
        }
        let reference = place.reference();
        let target =
            format!("/v1/files/{reference}/entries/?limit={MOST_CHILDREN}{}", self.of_snapshot());
        seen.begin(&target);
        let rest = None;
        let remainder =
            Remainder { place, target, seen, most_children, rest, left, most_bytes, names };
        vec![Part(Ask::Page(Box::new(remainder)))]
    }

    /// Tells those of a page that have no row.
    fn tell_page(
        &self,
        mut remainder: Remainder,
        page: Page,
        hear: &mut dyn FnMut(Found<'_, Part>),
    ) -> Result<Vec<Part>, TellError> {
        let folder: Arc<[u8]> = remainder.place.path().into();
        let Remainder { seen, names, most_children, rest, left, most_bytes, .. } = &mut remainder;
        let before = seen.on_pages();
        let is_first =
            |child: &Child| names.is_first(&child.name.0, seen.child(&child.name.0, child.kind.0));
        let children: Vec<_> = page.files.into_iter().filter(is_first).collect();
        let all = page.children.map_or(0, |count| count.0);
        *most_children = all.max(*most_children);
        let mut rest = rest.take().unwrap_or_else(|| Rest {
            left: *left,
            names: all.saturating_sub(seen.rows()),
            most_bytes: *most_bytes,
        });
        let next = page.paging.next.filter(|next| !next.is_empty());
        let follows = if next.is_some() { Follows::Pages } else { Follows::Nothing };
        let items: Vec<_> = children.iter().map(|child| self.item(child)).collect();
        for (child, amount) in children.iter().zip(rest.share(&items, follows)) {
            let name = &child.name.0;
            let Some(kind) = names.check(name, child.kind.0) else { continue };
            let links = links(child).filter(|_| kind != Kind::Directory);
            hear(Found { links, ..found(&folder, name, kind, child.id.0, amount) });
        }
        let Some(next) = next else {
            self.faults.lock().extend(remainder.names.end(&folder));
            return Ok(Vec::new());
        };
        if let Err(wrong) = seen.go_on(&next, before, *most_children) {
            let reason = format!(
                "the cluster's answer makes no sense: {wrong}; run again, or cut a mount of it instead"
            );
            return Err(TellError::Fault(fault(&folder, Cause::Refused(reason.into()))));
        }
        remainder.target = next;
        remainder.rest = Some(rest);
        Ok(vec![Part(Ask::Page(Box::new(remainder)))])
    }

    fn item(&self, child: &Child) -> Item {
        match (child.kind.0, child.children) {
            (Some(Kind::Directory), Some(answer::Number(0))) => {
                Item::Exact(Amount::of_one(self.counted.bytes_of_child(child)))
            }
            (Some(Kind::Directory), count) => Item::Directory(count.map_or(1, |count| count.0)),
            _ => Item::Exact(Amount::of_one(self.counted.bytes_of_child(child))),
        }
    }

    /// The directory that the user named cannot be told.
    fn no_root(&self, denied: &Denied) -> Refused {
        let (cluster, path) = (self.client.name(), String::from_utf8_lossy(&self.root));
        let path = client::shown(&path);
        let Denied { status, class, said } = denied;
        let sentence = match (status, &**class) {
            (_, class) if class.contains("snapshot") => {
                format!("{cluster}: there is no such snapshot: {said}")
            }
            (_, class) if class.contains("not_a_directory") => {
                format!("{cluster}: \"{path}\" is no directory: name one that is")
            }
            (403, _) => format!("{cluster}: \"{path}\" may not be read by this user: {said}"),
            (404, _) => format!("{cluster}: \"{path}\" is not there: {said}"),
            _ => format!("{cluster}: \"{path}\" cannot be told: {said}"),
        };
        Refused { why: Why::Source, sentence }
    }

    fn not_told(&self, place: &Place, no_answer: NoAnswer) -> TellError {
        let cause = match no_answer {
            NoAnswer::Over(refused) => return TellError::Over(refused),
            NoAnswer::Denied(Denied { status: 404, .. }) => Cause::Vanished,
            NoAnswer::Denied(denied) => {
                let sentence = format!("{} does not tell it: {}", self.client.name(), denied.said);
                Cause::Refused(sentence.into())
            }
        };
        TellError::Fault(fault(&place.path(), cause))
    }
}

impl Lister for Qumulo {
    type Part = Part;

    fn root(&self) -> Result<Root<Part>, Refused> {
        let place = Place::named(&self.root);
        match self.sums(&place) {
            Ok(sums) => {
                let total = Some(self.counted.total(&sums));
                Ok(Root { part: Part(Ask::Answered(place, Box::new(sums))), total })
            }
            Err(NoAnswer::Denied(denied)) => Err(self.no_root(&denied)),
            Err(NoAnswer::Over(refused)) => Err(refused),
        }
    }

    fn tell(
        &self,
        part: Part,
        hear: &mut dyn FnMut(Found<'_, Part>),
    ) -> Result<Vec<Part>, TellError> {
        match part.0 {
            Ask::Answered(place, sums) => Ok(self.tell_rows(place, *sums, hear)),
            Ask::Whole(place) => match self.sums(&place) {
                Ok(sums) => Ok(self.tell_rows(place, sums, hear)),
                Err(no_answer) => Err(self.not_told(&place, no_answer)),
            },
            Ask::Page(remainder) => match self.client.get(&remainder.target) {
                Ok(page) => self.tell_page(*remainder, page, hear),
                Err(no_answer) => Err(self.not_told(&remainder.place, no_answer)),
            },
        }
    }

    fn take_faults(&self) -> Vec<Fault> {
        mem::take(&mut self.faults.lock())
    }

    fn asked(&self) -> u64 {
        self.client.asked()
    }

    fn full_path(&self, path: &[u8]) -> Vec<u8> {
        join(&self.root, path)
    }
}

/// An entry of a directory.
fn found<'a>(
    folder: &Arc<[u8]>,
    name: &'a [u8],
    kind: Kind,
    id: Option<u64>,
    amount: Amount,
) -> Found<'a, Part> {
    let (bytes, below) = match kind {
        Kind::Directory => {
            (0, Below::Known(amount, Part(Ask::Whole(Place::below(folder, name, id)))))
        }
        _ => (amount.bytes, Below::Nothing),
    };
    Found { name, kind, bytes, links: None, below }
}

/// Whether every child has a row: then the numbers add up. A directory may be counted itself, or not; where
/// there are as many rows as there can be (`is_full`), the numbers must say which, or as many directories as
/// the one form counts more may be missing by the other.
fn is_complete(sums: &Aggregates, is_full: bool) -> bool {
    let sum = |number: fn(&Row) -> u64| {
        sums.files.iter().fold(0, |sum: u64, row| sum.saturating_add(number(row)))
    };
    let directories =
        sums.files.iter().filter(|row| row.kind.0 == Some(Kind::Directory)).count() as u64;
    let below = sum(|row| row.num_directories.0);
    let total = sums.total_directories.0;
    let counts_itself = total == below.saturating_add(1);
    let counts_below = total == below.saturating_add(directories);
    // Such a directory does not count itself, and so none does.
    let is_none = |row: &Row| row.kind.0 == Some(Kind::Directory) && row.num_directories.0 == 0;
    let has_none = sums.files.iter().any(is_none);
    sum(|row| row.num_files.0) == sums.total_files.0
        && sum(|row| row.num_symlinks.0) == sums.total_symlinks.0
        && sum(|row| row.num_other_objects.0) == sums.total_other_objects.0
        && if is_full {
            let is_sure_of_itself = total < below.saturating_add(directories) || directories == 1;
            (counts_itself && is_sure_of_itself) || (counts_below && (has_none || total == 0))
        } else {
            counts_itself || counts_below
        }
}

/// Which file it is, where it has further names.
fn links(child: &Child) -> Option<Links> {
    let count = child.num_links?.0;
    let inode = Inode { dev: 0, ino: child.id.0? };
    (count > 1).then_some(Links { inode, count })
}

/// Whether a cluster may just be of another time.
fn is_another_version(denied: &Denied) -> bool {
    denied.status == 404 && !denied.class.contains("snapshot")
}

fn fault(path: &[u8], cause: Cause) -> Fault {
    Fault { side: Side::Source, verb: Verb::List, path: path.into(), cause }
}

fn minus(whole: Amount, taken: Amount) -> Amount {
    Amount {
        entries: whole.entries.saturating_sub(taken.entries),
        bytes: whole.bytes.saturating_sub(taken.bytes),
    }
}
