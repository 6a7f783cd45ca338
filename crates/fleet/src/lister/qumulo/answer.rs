//! What a cluster answers, as far as it is read.
//!
//! Numbers come as strings, or as numbers. Names are bytes: nothing here insists that they are UTF-8.

use std::fmt;

use model::Kind;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A directory, its sums, and those of its largest children.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Aggregates {
    pub(super) files: Vec<Row>,
    pub(super) total_capacity: Number,
    pub(super) total_data: Number,
    pub(super) total_files: Number,
    pub(super) total_directories: Number,
    pub(super) total_symlinks: Number,
    pub(super) total_other_objects: Number,
}

/// A child, with the sums of all that lies below it.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Row {
    pub(super) name: Name,
    #[serde(rename = "type")]
    pub(super) kind: EntryKind,
    #[serde(default)]
    pub(super) id: Id,
    pub(super) capacity_usage: Number,
    pub(super) data_usage: Number,
    pub(super) num_files: Number,
    pub(super) num_directories: Number,
    pub(super) num_symlinks: Number,
    pub(super) num_other_objects: Number,
}

impl Row {
    /// The names that it counts; its own is one in any case.
    pub(super) fn entries(&self) -> u64 {
        let Self { num_files, num_directories, num_symlinks, num_other_objects, .. } = self;
        sum([*num_files, *num_directories, *num_symlinks, *num_other_objects]).max(1)
    }
}

impl Aggregates {
    /// The names that it counts; its own is one in any case.
    pub(super) fn entries(&self) -> u64 {
        let Self { total_files, total_directories, total_symlinks, total_other_objects, .. } = self;
        sum([*total_files, *total_directories, *total_symlinks, *total_other_objects]).max(1)
    }
}

fn sum(numbers: [Number; 4]) -> u64 {
    numbers.iter().fold(0, |sum, number| sum.saturating_add(number.0))
}

/// Some children of a directory, each for itself.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Page {
    #[serde(default, rename = "child_count")]
    pub(super) children: Option<Number>,
    pub(super) files: Vec<Child>,
    pub(super) paging: Paging,
}

/// Where the next page is.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Paging {
    /// What is asked for; empty after the last page.
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// A child, for itself.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Child {
    pub(super) name: Name,
    #[serde(rename = "type")]
    pub(super) kind: EntryKind,
    #[serde(default)]
    pub(super) id: Id,
    #[serde(default)]
    pub(super) num_links: Option<Number>,
    #[serde(default, rename = "child_count")]
    pub(super) children: Option<Number>,
    pub(super) blocks: Number,
    pub(super) datablocks: Number,
}

/// A login that went well.
#[derive(serde::Deserialize)]
pub(super) struct LoggedIn {
    pub(super) bearer_token: String,
}

/// A snapshot.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Snapshot {
    pub(super) directory_name: Name,
}

/// Why something was not done.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Failure {
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) error_class: String,
}

/// A number, as a string or as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;

        impl Visitor<'_> for Digits {
            type Value = Number;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number that is not negative, as such or as a string")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
                match text.parse() {
                    Ok(number) if is_number => Ok(Number(number)),
                    _ => Err(E::custom("a string that is no number")),
                }
            }
        }

        deserializer.deserialize_any(Digits)
    }
}

/// Which file it is: a number, or something that is no use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Id(pub(super) Option<u64>);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let number = serde_json::from_value::<Number>(value).ok();
        Ok(Self(number.map(|Number(id)| id)))
    }
}

/// A name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(pub(super) Box<[u8]>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Name;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                Ok(Name(name.as_bytes().into()))
            }

            fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Name, E> {
                Ok(Name(name.into()))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

/// What an entry is; `None` for what is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryKind(pub(super) Option<Kind>);

impl<'de> Deserialize<'de> for EntryKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(Self(match &*name {
            "FS_FILE_TYPE_FILE" => Some(Kind::File),
            "FS_FILE_TYPE_DIRECTORY" => Some(Kind::Directory),
            "FS_FILE_TYPE_SYMLINK" => Some(Kind::Symlink),
            "FS_FILE_TYPE_UNIX_PIPE" => Some(Kind::Fifo),
            "FS_FILE_TYPE_UNIX_CHARACTER_DEVICE" => Some(Kind::CharDevice),
            "FS_FILE_TYPE_UNIX_BLOCK_DEVICE" => Some(Kind::BlockDevice),
            "FS_FILE_TYPE_UNIX_SOCKET" => Some(Kind::Socket),
            _ => None,
        }))
    }
}
