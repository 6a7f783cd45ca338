//! Errors of the serving side as data: they belong to one request, and the session goes on.

use std::io;

use crate::bounded::Text;
use crate::codec::{choice, record};
use crate::greeting::System;
use crate::limits::FAULT_TEXT_BYTES;

/// Why a request, or a part of what it asks for, could not be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .text.as_str())]
pub struct IoFault {
    /// What kind of error, on any system.
    pub kind: FaultKind,
    /// The number that the operating system of the responder gave it.
    pub errno: Option<i32>,
    /// The error in words.
    pub text: Text<FAULT_TEXT_BYTES>,
}

record!(IoFault { kind, errno, text });

/// Defines the kinds that [`io::ErrorKind`] knows together with those that the protocol adds.
macro_rules! kinds {
    ($($tag:literal => $kind:ident),* $(,)?) => {
        /// Kinds of errors: those of [`io::ErrorKind`] by the same names, and some of the protocol.
        #[expect(missing_docs, reason = "the names are those of io::ErrorKind, and say it all")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum FaultKind {
            /// None of the others.
            Other,
            /// The handle is not open: opening failed, or it was closed.
            NoHandle,
            /// The handle is a file where a directory is asked for, or the other way round.
            WrongHandle,
            /// The response needs so many bytes of room, and the request left less.
            NoRoom { needed_bytes: u64 },
            /// The requester cancelled the request.
            Cancelled,
            /// What this responder was told to serve does not include it.
            NotServed,
            /// What is there is not what the request expects.
            Changed,
            $($kind),*
        }

        choice!(FaultKind, "kind of error":
            0 => Other,
            1 => NoHandle,
            2 => WrongHandle,
            3 => NoRoom { needed_bytes },
            4 => Cancelled,
            5 => NotServed,
            6 => Changed,
            $($tag => $kind),*
        );

        impl From<io::ErrorKind> for FaultKind {
            fn from(kind: io::ErrorKind) -> Self {
                match kind {
                    $(io::ErrorKind::$kind => Self::$kind,)*
                    _ => Self::Other,
                }
            }
        }

        impl From<FaultKind> for io::ErrorKind {
            fn from(kind: FaultKind) -> Self {
                match kind {
                    $(FaultKind::$kind => Self::$kind,)*
                    FaultKind::Cancelled => Self::Interrupted,
                    FaultKind::NotServed => Self::PermissionDenied,
                    _ => Self::Other,
                }
            }
        }

        #[cfg(test)]
        pub(crate) const KINDS_OF_IO: &[FaultKind] = &[$(FaultKind::$kind),*];
    };
}

kinds! {
    16 => NotFound,
    17 => PermissionDenied,
    18 => AlreadyExists,
    19 => NotADirectory,
    20 => IsADirectory,
    21 => DirectoryNotEmpty,
    22 => ReadOnlyFilesystem,
    23 => StaleNetworkFileHandle,
    24 => InvalidInput,
    25 => InvalidData,
    26 => TimedOut,
    27 => StorageFull,
    28 => QuotaExceeded,
    29 => FileTooLarge,
    30 => ResourceBusy,
    31 => Deadlock,
    32 => TooManyLinks,
    33 => InvalidFilename,
    34 => ArgumentListTooLong,
    35 => Interrupted,
    36 => Unsupported,
    37 => UnexpectedEof,
    38 => OutOfMemory,
    39 => WouldBlock,
}

impl IoFault {
    /// A fault that no operating system gave a number.
    pub fn new(kind: FaultKind, text: &str) -> Self {
        Self { kind, errno: None, text: Text::new(text) }
    }

    /// The error as the requester's own calls would have given it.
    ///
    /// Its number is kept between equal systems only; elsewhere it would name another error.
    pub fn to_error(&self, responder: System) -> io::Error {
        match self.errno {
            Some(errno) if responder == System::HERE => io::Error::from_raw_os_error(errno),
            _ => io::Error::new(self.kind.into(), self.text.as_str()),
        }
    }
}

impl From<&io::Error> for IoFault {
    fn from(error: &io::Error) -> Self {
        let text = Text::new(&error.to_string());
        Self { kind: error.kind().into(), errno: error.raw_os_error(), text }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{FaultKind, IoFault, KINDS_OF_IO};
    use crate::greeting::System;

    #[test]
    fn an_error_of_an_equal_system_arrives_as_it_was() {
        for errno in [1, 2, 5, 13, 17, 20, 28, 39, 40, 116] {
            let error = io::Error::from_raw_os_error(errno);
            let arrived = IoFault::from(&error).to_error(System::HERE);
            assert_eq!(arrived.raw_os_error(), Some(errno));
        }
    }

    #[test]
    fn an_error_of_another_system_keeps_its_kind_and_its_words() {
        let error = io::Error::from_raw_os_error(2);
        let arrived = IoFault::from(&error).to_error(System::Other);
        assert_eq!(arrived.kind(), io::ErrorKind::NotFound);
        assert_eq!(arrived.raw_os_error(), None);
        assert_eq!(arrived.to_string(), error.to_string());
    }

    #[test]
    fn every_kind_that_is_known_goes_both_ways() {
        for &kind in KINDS_OF_IO {
            assert_eq!(FaultKind::from(io::ErrorKind::from(kind)), kind);
        }
    }
}
