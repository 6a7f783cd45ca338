//! Where a tree is told from.
//!
//! A `Lister` tells the entries of one directory at a time, part by part, so that a wide directory is
//! looked at by many workers and a cluster is asked page by page. Every lister passes
//! `conformance`, a suite of tests.

/// A tree on this host.
pub mod crawl;

use model::{Fault, Inode, Kind};

use crate::amount::Amount;

/// A list that somebody made.
pub mod list;

/// A tree on a Qumulo cluster.
pub mod qumulo;

/// Where a tree is told from.
pub trait Lister: Send + Sync + 'static {
    /// What can be asked for at once: a directory, or a part of one that is still to be told.
    type Part: Send + 'static;

    /// The directory that is cut.
    ///
    /// Fails when it cannot be used at all.
    fn root(&self) -> Result<Root<Self::Part>, Refused>;

    /// Tells what lies in a part, and gives the parts of the same directory that are still to be told,
    /// which may be asked for at once and in any order.
    ///
    /// Fails when the directory cannot be told to its end, whatever was told of it before.
    fn tell(
        &self,
        part: Self::Part,
        hear: &mut dyn FnMut(Found<'_, Self::Part>),
    ) -> Result<Vec<Self::Part>, TellError>;

    /// What could not be looked at since this was asked last, or cannot be told at all: each is named, and all
    /// else of its directory was told. Whoever moves that whole finds it there, or says so again.
    fn take_faults(&self) -> Vec<Fault> {
        Vec::new()
    }

    /// How often somebody was asked so far: requests to a cluster, directories that were opened.
    fn asked(&self) -> u64;

    /// What a line of a directory covers.
    fn covers(&self) -> Covers {
        Covers::Tree
    }

    /// The path that a person would look for, of a path below the root.
    fn full_path(&self, path: &[u8]) -> Vec<u8>;
}

/// What a line of a directory covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// All that lies below it.
    Tree,
    /// No more than was told of it: others may lie there. So a directory of which something was told
    /// never stands for its content.
    Told,
}

/// The directory that is cut.
#[derive(Debug)]
pub struct Root<P> {
    /// By what it is told.
    pub part: P,
    /// All of it, where that is known beforehand.
    pub total: Option<Amount>,
}

/// An entry of a directory.
#[derive(Debug)]
pub struct Found<'a, P> {
    /// Its name: one component, never empty, `.` or `..`, without `/` and NUL.
    pub name: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Its bytes; of a directory, 0.
    pub bytes: u64,
    /// Its inode and the number of its names, where there are several. Never of a directory.
    pub links: Option<Links>,
    /// What lies below it.
    pub below: Below<P>,
}

/// A file with more than one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    /// Which file.
    pub inode: Inode,
    /// How many names it has, here and elsewhere.
    pub count: u64,
}

/// What lies below an entry.
#[derive(Debug)]
pub enum Below<P> {
    /// Nothing, or nothing that anybody knows of.
    Nothing,
    /// A directory whose content does not belong to the tree, as that of another file system.
    LeftOut,
    /// What nobody knows yet.
    Unknown(P),
    /// So much, the directory itself included. What it is can be told.
    Known(Amount, P),
}

/// Why a part could not be told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TellError {
    /// This directory cannot be told; others can.
    #[error("a directory could not be told")]
    Fault(Fault),
    /// Nothing more can be told.
    #[error(transparent)]
    Over(#[from] Refused),
}

/// Why a tree cannot be told, in a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Refused {
    /// What kind of reason.
    pub why: Why,
    /// The sentence.
    pub sentence: String,
}

/// Kinds of reasons why a tree cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// What was named is not there, is no directory or cannot be read.
    Source,
    /// A list makes no sense.
    List,
    /// Whoever is asked does not let this user in.
    Login,
    /// Whoever is asked cannot be reached, or makes no sense, or gave up.
    Connection,
    /// Somebody ended it.
    Stopped,
    /// A bug of ours.
    Internal,
}
