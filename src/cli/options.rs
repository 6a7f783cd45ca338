//! Every option there is, as one table: it drives parsing, `--help` and the tests of completeness.
//!
//! An option is added here first. The table says how it is spelled and what kind of argument it
//! takes; what it means is decided in `resolve`, never here.

/// Names an option in code, so that a misspelled one does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[rustfmt::skip]
pub(crate) enum Opt {
    // what is looked at
    Archive, Recursive, Dirs, OldDirs, Relative, ImpliedDirs, FilesFrom, From0, OneFileSystem,
    PruneEmptyDirs, Update, Existing, IgnoreExisting, MaxSize, MinSize, IgnoreMissingArgs,
    DeleteMissingArgs, Mkpath, OpenNoatime, ListOnly,
    // rules
    Filter, Exclude, ExcludeFrom, Include, IncludeFrom, CvsExclude, PerDirectoryFilter,
    // what counts as equal
    Checksum, ChecksumChoice, IgnoreTimes, SizeOnly, ModifyWindow, Fuzzy,
    // links
    Links, CopyLinks, CopyUnsafeLinks, SafeLinks, MungeLinks, CopyDirlinks, KeepDirlinks,
    HardLinks, InsecureLinks, ConfineRoot,
    // attributes
    Perms, Executability, Chmod, Acls, Xattrs, Owner, Group, Devices, Specials,
    DevicesAndSpecials, DropDevices, Times, Atimes, Crtimes, OmitDirTimes, OmitLinkTimes, Super,
    FakeSuper, NumericIds, Usermap, Groupmap, Chown, CopyAs,
    // removing
    Delete, DeleteBefore, DeleteDuring, DeleteDelay, DeleteAfter, DeleteExcluded, MaxDelete,
    IgnoreErrors, Force, RemoveSourceFiles, DeleteAcrossMounts, NoEmptySource,
    // writing
    DryRun, Inplace, Append, AppendVerify, Partial, PartialDir, PartialProgress, DelayUpdates,
    TempDir, Sparse, Preallocate, Fsync, CopyDevices, WriteDevices, WholeFile, BlockSize,
    Backup, BackupDir, Suffix, CompareDest, CopyDest, LinkDest,
    // how much may be used
    Workers, Bwlimit, StopAfter, StopAt, Timeout, MaxAlloc,
    // output
    Verbose, Quiet, Info, Debug, ItemizeChanges, OutFormat, Stats, Progress, HumanReadable,
    EightBitOutput, Json, LogFile, LogFileFormat, Outbuf, Stderr, Msgs2stderr, IncRecursive,
    Qsort, Version, Help,
    // other hosts
    Rsh, RsyncPath, NoUpload, RemoteSudo, Lanes, LaneKind, LanePorts, LanesFrom, Reconnect,
    RemoteOption, Compress, CompressChoice, CompressLevel, CompressThreads,
    OldCompress, NewCompress, SkipCompress, SecludedArgs, OldArgs, TrustSender, Contimeout,
    Address, Port, Sockopts, BlockingIo, Ipv4, Ipv6, Motd, PasswordFile, EarlyInput, Protocol,
    ChecksumSeed, Iconv, WriteBatch, OnlyWriteBatch, ReadBatch, Daemon, Config, Dparam, Detach,
    Server, Sender,
}

/// What stands behind an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// Nothing.
    None,
    /// Any text; the word stands for it in `--help`.
    Text(&'static str),
    /// A whole number.
    Number(&'static str),
}

/// Whether an option has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It has.
    Supported,
    /// Taken and not needed: it changes nothing where both sides are on this machine.
    Harmless,
    /// Refused with this sentence, until it is there.
    NotYet(&'static str),
    /// Refused with this sentence: it cannot be had on this system.
    NotHere(&'static str),
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub(crate) opt: Opt,
    /// The spelling of messages and `--help`; empty for the few that are a single letter only.
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    /// Further long spellings.
    pub(crate) aliases: &'static [&'static str],
    /// Long spellings that turn it off.
    pub(crate) negations: &'static [&'static str],
    pub(crate) argument: Argument,
    pub(crate) status: Status,
    /// One line for `--help`; empty for what is not shown there.
    pub(crate) help: &'static str,
}

impl Spec {
    const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    const fn alias(mut self, names: &'static [&'static str]) -> Self {
        self.aliases = names;
        self
    }

    const fn no(mut self, names: &'static [&'static str]) -> Self {
        self.negations = names;
        self
    }

    const fn text(mut self, word: &'static str) -> Self {
        self.argument = Argument::Text(word);
        self
    }

    const fn number(mut self, word: &'static str) -> Self {
        self.argument = Argument::Number(word);
        self
    }

    const fn harmless(mut self) -> Self {
        self.status = Status::Harmless;
        self
    }

    const fn not_yet(mut self, sentence: &'static str) -> Self {
        self.status = Status::NotYet(sentence);
        self
    }

    const fn not_here(mut self, sentence: &'static str) -> Self {
        self.status = Status::NotHere(sentence);
        self
    }
}

const fn opt(opt: Opt, long: &'static str, help: &'static str) -> Spec {
    let (argument, status) = (Argument::None, Status::Supported);
    Spec { opt, long, short: None, aliases: &[], negations: &[], argument, status, help }
}

/// Whether a spelling asks for an option or against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polarity {
    On,
    Off,
}

/// Finds an option by a long spelling, without the dashes.
pub(crate) fn by_long(name: &str) -> Option<(&'static Spec, Polarity)> {
    all().find_map(|spec| {
        if spec.negations.contains(&name) {
            Some((spec, Polarity::Off))
        } else if !name.is_empty() && (spec.long == name || spec.aliases.contains(&name)) {
            Some((spec, Polarity::On))
        } else {
            None
        }
    })
}

/// Finds an option by its letter.
pub(crate) fn by_short(letter: char) -> Option<&'static Spec> {
    all().find(|spec| spec.short == Some(letter))
}

/// All options.
pub(crate) fn all() -> impl Iterator<Item = &'static Spec> {
    SECTIONS.iter().flat_map(|section| section.options)
}

/// Options that belong together in `--help`.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) options: &'static [Spec],
}

const NO_AGENT: &str =
    "this is no remote side for rsync itself; other hosts are named as HOST:PATH";
const NO_BATCH: &str = "batches are not there yet; copy to a directory and carry that over";
/// As in rsync, where these without `--daemon` are a mistake.
const ONLY_DAEMON: &str = "it is for a daemon only, and this is none (--daemon)";

const NO_DAEMON: &str = "there is no daemon; other hosts are reached over ssh";

/// The table.
#[rustfmt::skip]
pub(crate) static SECTIONS: &[Section] = &[
    Section { title: "What is copied", options: &[
        opt(Opt::Archive, "archive", "as -rlptgoD: trees with their attributes").short('a'),
        opt(Opt::Recursive, "recursive", "everything below directories")
            .short('r').no(&["no-recursive", "no-r"]),
        opt(Opt::Dirs, "dirs", "directories, but not what is below them")
            .short('d').no(&["no-dirs", "no-d"]),
        opt(Opt::OldDirs, "old-dirs", "as -r --exclude='/*/*'").alias(&["old-d"]),
        opt(Opt::Relative, "relative", "keep the whole path of each source")
            .short('R').no(&["no-relative", "no-R"]),
        opt(Opt::ImpliedDirs, "implied-dirs",
            "with -R, bring the directories on the way over too (default)")
            .alias(&["i-d"]).no(&["no-implied-dirs", "no-i-d"]),
        opt(Opt::FilesFrom, "files-from", "copy the names listed in FILE, below the one source")
            .text("FILE"),
        opt(Opt::From0, "from0", "lists and rules in files end with NUL, not with a line")
            .short('0').no(&["no-from0"]),
        opt(Opt::OneFileSystem, "one-file-system",
            "stay on the file system of the source; twice: omit mount points")
            .short('x').no(&["no-one-file-system", "no-x"]),
        opt(Opt::PruneEmptyDirs, "prune-empty-dirs", "leave out directories that would be empty")
            .short('m').no(&["no-prune-empty-dirs", "no-m"]),
        opt(Opt::Update, "update", "leave files alone that are newer at the destination")
            .short('u'),
        opt(Opt::Existing, "existing", "change only what is there already")
            .alias(&["ignore-non-existing"]),
        opt(Opt::IgnoreExisting, "ignore-existing", "make only what is not there yet"),
        opt(Opt::MaxSize, "max-size", "leave out larger files").text("SIZE"),
        opt(Opt::MinSize, "min-size", "leave out smaller files").text("SIZE"),
        opt(Opt::IgnoreMissingArgs, "ignore-missing-args",
            "a source that is not there is no fault"),
        opt(Opt::DeleteMissingArgs, "delete-missing-args",
            "a source that is not there is removed at the destination"),
        opt(Opt::Mkpath, "mkpath", "make all missing directories above the destination")
            .no(&["no-mkpath"]),
        opt(Opt::OpenNoatime, "open-noatime", "read without touching access times")
            .no(&["no-open-noatime"]),
        opt(Opt::ListOnly, "list-only", "list the sources and copy nothing"),
    ]},
    Section { title: "Rules", options: &[
        opt(Opt::Filter, "filter", "add a rule of the filter language").short('f').text("RULE"),
        opt(Opt::Exclude, "exclude", "leave out what matches").text("PATTERN"),
        opt(Opt::ExcludeFrom, "exclude-from", "the same, from a file of patterns").text("FILE"),
        opt(Opt::Include, "include", "keep what matches, whatever later rules say").text("PATTERN"),
        opt(Opt::IncludeFrom, "include-from", "the same, from a file of patterns").text("FILE"),
        opt(Opt::CvsExclude, "cvs-exclude",
            "leave out what CVS would: objects, backups, .git/ and so on")
            .short('C'),
        opt(Opt::PerDirectoryFilter, "", "heed .rsync-filter files; twice: and leave them out")
            .short('F'),
    ]},
    Section { title: "What counts as equal", options: &[
        opt(Opt::Checksum, "checksum", "compare content, not size and time")
            .short('c').no(&["no-checksum", "no-c"]),
        opt(Opt::ChecksumChoice, "checksum-choice",
            "the checksum to use; what was written is read again and verified")
            .alias(&["cc"]).text("NAME"),
        opt(Opt::IgnoreTimes, "ignore-times", "copy files even if size and time agree").short('I'),
        opt(Opt::SizeOnly, "size-only", "files of the same size are equal"),
        opt(Opt::ModifyWindow, "modify-window",
            "times may differ by NUM seconds; -1: compare nanoseconds")
            .short('@').number("NUM"),
        opt(Opt::Fuzzy, "fuzzy", "make new files of similar ones (with another host)")
            .short('y').no(&["no-fuzzy", "no-y"]).harmless(),
    ]},
    Section { title: "Links", options: &[
        opt(Opt::Links, "links", "keep symlinks as they are").short('l').no(&["no-links", "no-l"]),
        opt(Opt::CopyLinks, "copy-links", "copy what symlinks point to").short('L'),
        opt(Opt::CopyUnsafeLinks, "copy-unsafe-links",
            "the same, for those that point outside the tree"),
        opt(Opt::SafeLinks, "safe-links", "leave out symlinks that point outside the tree"),
        opt(Opt::MungeLinks, "munge-links",
            "undo the disarming of symlinks; -M--munge-links: disarm them")
            .no(&["no-munge-links"]),
        opt(Opt::RemoteOption, "remote-option",
            "an option for the other side only: --fake-super, --munge-links")
            .short('M').text("OPTION"),
        opt(Opt::CopyDirlinks, "copy-dirlinks", "copy the directory a symlink points to")
            .short('k'),
        opt(Opt::KeepDirlinks, "keep-dirlinks",
            "write through the destination's symlinks to directories")
            .short('K'),
        opt(Opt::HardLinks, "hard-links", "keep hard links among the copied files")
            .short('H').no(&["no-hard-links", "no-H"]),
        opt(Opt::InsecureLinks, "insecure-links",
            "follow links of other users in paths that were typed")
            .no(&["no-insecure-links"])
            .not_yet("following links that other users own is not there; name the real path"),
        opt(Opt::ConfineRoot, "confine-root",
            "refuse typed paths that lead out of DIR (not yet, but for /)")
            .text("DIR"),
    ]},
    Section { title: "Attributes", options: &[
        opt(Opt::Perms, "perms", "permissions").short('p').no(&["no-perms", "no-p"]),
        opt(Opt::Executability, "executability", "whether files can be executed, and no more")
            .short('E'),
        opt(Opt::Chmod, "chmod", "change permissions on the way: D2775,F664 or go-w")
            .text("CHANGES"),
        opt(Opt::Acls, "acls", "access control lists; includes -p")
            .short('A').no(&["no-acls", "no-A"]),
        opt(Opt::Xattrs, "xattrs", "extended attributes; twice: rsync's own too")
            .short('X').no(&["no-xattrs", "no-X"]),
        opt(Opt::Owner, "owner", "owners (needs root)").short('o').no(&["no-owner", "no-o"]),
        opt(Opt::Group, "group", "groups").short('g').no(&["no-group", "no-g"]),
        opt(Opt::Devices, "devices", "devices (needs root)").no(&["no-devices"]),
        opt(Opt::Specials, "specials", "pipes and sockets").no(&["no-specials"]),
        opt(Opt::DevicesAndSpecials, "", "as --devices --specials").short('D').no(&["no-D"]),
        opt(Opt::DropDevices, "drop-D", "never make devices, pipes or sockets").no(&["no-drop-D"]),
        opt(Opt::Times, "times", "modification times").short('t').no(&["no-times", "no-t"]),
        opt(Opt::Atimes, "atimes", "access times; twice: and read without touching them")
            .short('U').no(&["no-atimes", "no-U"]),
        opt(Opt::Crtimes, "crtimes", "times of creation (not on this system)")
            .short('N').no(&["no-crtimes", "no-N"])
            .not_here("times of creation cannot be set on this system"),
        opt(Opt::OmitDirTimes, "omit-dir-times", "no times of directories")
            .short('O').no(&["no-omit-dir-times", "no-O"]),
        opt(Opt::OmitLinkTimes, "omit-link-times", "no times of symlinks")
            .short('J').no(&["no-omit-link-times", "no-J"]),
        opt(Opt::Super, "super", "try what needs root even if not root; --no-super: do not try")
            .no(&["no-super"]),
        opt(Opt::FakeSuper, "fake-super", "keep what needs root in extended attributes"),
        opt(Opt::NumericIds, "numeric-ids", "owners by number, not by name")
            .no(&["no-numeric-ids"]),
        opt(Opt::Usermap, "usermap", "change owners: 0-99:nobody,*:web").text("FROM:TO,..."),
        opt(Opt::Groupmap, "groupmap", "change groups, in the same way").text("FROM:TO,..."),
        opt(Opt::Chown, "chown", "give everything to this owner and group").text("USER:GROUP"),
        opt(Opt::CopyAs, "copy-as", "copy as another user").text("USER[:GROUP]")
            .not_yet("copying as another user is not there yet; start it as that user"),
    ]},
    Section { title: "Removing", options: &[
        opt(Opt::Delete, "delete", "remove what the source does not have; needs -r or -d"),
        opt(Opt::DeleteBefore, "delete-before", "the same, before anything is copied"),
        opt(Opt::DeleteDuring, "delete-during", "the same, directory by directory (default)")
            .alias(&["del"]),
        opt(Opt::DeleteDelay, "delete-delay", "the same, found on the way and removed at the end"),
        opt(Opt::DeleteAfter, "delete-after", "the same, when all is copied"),
        opt(Opt::DeleteExcluded, "delete-excluded", "remove what rules leave out, too"),
        opt(Opt::MaxDelete, "max-delete", "remove no more than NUM entries, or NUM percent")
            .text("NUM[%]"),
        opt(Opt::IgnoreErrors, "ignore-errors", "remove even where the source could not be read")
            .no(&["no-ignore-errors"]),
        opt(Opt::Force, "force", "a full directory gives way to what is not one").no(&["no-force"]),
        opt(Opt::RemoveSourceFiles, "remove-source-files",
            "remove files at the source once they are copied")
            .alias(&["remove-sent-files"]),
        opt(Opt::DeleteAcrossMounts, "delete-across-mounts",
            "empty mount points at the destination too")
            .no(&["no-delete-across-mounts"]),
        opt(Opt::NoEmptySource, "no-empty-source", "with --delete, refuse a source that is empty")
            .no(&["empty-source"]),
    ]},
    Section { title: "Writing", options: &[
        opt(Opt::DryRun, "dry-run", "change nothing and tell everything").short('n'),
        opt(Opt::Inplace, "inplace", "write into the files themselves").no(&["no-inplace"]),
        opt(Opt::Append, "append", "add to shorter files, believing what is there")
            .no(&["no-append"]),
        opt(Opt::AppendVerify, "append-verify", "the same, but compare what is there"),
        opt(Opt::Partial, "partial", "keep incomplete files under their names").no(&["no-partial"]),
        opt(Opt::PartialDir, "partial-dir", "keep incomplete files in DIR").text("DIR"),
        opt(Opt::PartialProgress, "", "as --partial --progress").short('P'),
        opt(Opt::DelayUpdates, "delay-updates", "put all files into place at the end")
            .no(&["no-delay-updates"]),
        opt(Opt::TempDir, "temp-dir", "make staging files in DIR").short('T').text("DIR"),
        opt(Opt::Sparse, "sparse", "turn runs of zeros into holes (holes are always kept)")
            .short('S').no(&["no-sparse", "no-S"]),
        opt(Opt::Preallocate, "preallocate", "reserve the space of a file before writing it"),
        opt(Opt::Fsync, "fsync", "wait until each file is on the disk"),
        opt(Opt::CopyDevices, "copy-devices", "read devices as files"),
        opt(Opt::WriteDevices, "write-devices", "write into devices as files; includes --inplace")
            .no(&["no-write-devices"]),
        opt(Opt::WholeFile, "whole-file", "write changed files whole (always so on one machine)")
            .short('W').no(&["no-whole-file", "no-W"]).harmless(),
        opt(Opt::BlockSize, "block-size", "length of a block where files are compared by block")
            .short('B').text("SIZE").harmless(),
        opt(Opt::Backup, "backup", "keep a copy of what is replaced or removed")
            .short('b').no(&["no-backup"]),
        opt(Opt::BackupDir, "backup-dir", "keep these copies below DIR; includes -b").text("DIR"),
        opt(Opt::Suffix, "suffix", "end of the names of these copies (~ without --backup-dir)")
            .text("SUFFIX"),
        opt(Opt::CompareDest, "compare-dest", "do not copy what DIR has already").text("DIR"),
        opt(Opt::CopyDest, "copy-dest", "copy from DIR what it has already").text("DIR"),
        opt(Opt::LinkDest, "link-dest", "hard-link to what DIR has already").text("DIR"),
    ]},
    Section { title: "How much may be used", options: &[
        opt(Opt::Workers, "workers", "operations at once; auto (default) finds out itself")
            .text("NUM|auto"),
        opt(Opt::Bwlimit, "bwlimit", "bytes a second: 500 (KiB), 1.5m, 0 (none); \"8:00,50m 19:00,off\"; @FILE")
            .text("RATE").no(&["no-bwlimit"]),
        opt(Opt::StopAfter, "stop-after", "stop when NUM minutes are over")
            .alias(&["time-limit"]).text("NUM"),
        opt(Opt::StopAt, "stop-at", "stop at a time: 2030-12-31T23:59, 14:00, :30").text("TIME"),
        opt(Opt::Timeout, "timeout", "give up a silent connection after NUM seconds")
            .number("NUM").no(&["no-timeout"]).harmless(),
        opt(Opt::MaxAlloc, "max-alloc", "largest single piece of memory (not needed)")
            .text("SIZE").harmless(),
    ]},
    Section { title: "Output", options: &[
        opt(Opt::Verbose, "verbose", "tell more; twice: much more")
            .short('v').no(&["no-verbose", "no-v"]),
        opt(Opt::Quiet, "quiet", "tell only what went wrong").short('q'),
        opt(Opt::ItemizeChanges, "itemize-changes",
            "say what changes in each entry; twice: list equal ones too")
            .short('i').no(&["no-itemize-changes", "no-i"]),
        opt(Opt::OutFormat, "out-format", "the line for each entry: '%i %n%L'")
            .alias(&["log-format"]).text("FORMAT"),
        opt(Opt::Stats, "stats", "totals at the end"),
        opt(Opt::Progress, "progress", "progress of each file").no(&["no-progress"]),
        opt(Opt::Info, "info", "choose what is told; --info=help lists the words").text("WORDS"),
        opt(Opt::Debug, "debug", "choose what is told to developers; --debug=help").text("WORDS"),
        opt(Opt::HumanReadable, "human-readable", "numbers with units; twice: units of 1024")
            .short('h').no(&["no-human-readable", "no-h"]),
        opt(Opt::Json, "json", "one JSON object a line instead of text").no(&["no-json"]),
        opt(Opt::LogFile, "log-file", "write a log to FILE").text("FILE"),
        opt(Opt::LogFileFormat, "log-file-format", "the log's line for each entry").text("FORMAT"),
        opt(Opt::EightBitOutput, "8-bit-output", "show bytes above 127 as they are")
            .short('8').no(&["no-8-bit-output", "no-8"]),
        opt(Opt::Outbuf, "outbuf", "when output is flushed: none, line or block").text("N|L|B"),
        opt(Opt::Stderr, "stderr", "what goes to standard error: errors or all").text("e|a|c"),
        opt(Opt::Msgs2stderr, "msgs2stderr", "").no(&["no-msgs2stderr"]),
        opt(Opt::IncRecursive, "inc-recursive", "begin before the whole list is known (default)")
            .alias(&["i-r"]).no(&["no-inc-recursive", "no-i-r"]),
        opt(Opt::Qsort, "qsort", ""),
        opt(Opt::Version, "version", "version and abilities; twice: as JSON").short('V'),
        opt(Opt::Help, "help", "this text (-h alone, too)"),
    ]},
    Section { title: "Other hosts (without effect on one machine)", options: &[
        opt(Opt::Rsh, "rsh", "the remote shell").short('e').text("COMMAND").harmless(),
        opt(Opt::RsyncPath, "agent-path", "lanesync on the other host")
            .alias(&["rsync-path"]).text("PROGRAM").harmless(),
        opt(Opt::NoUpload, "no-upload", "send no program there; lanesync has to be installed")
            .no(&["upload"]).harmless(),
        opt(Opt::RemoteSudo, "remote-sudo", "run it there as root, by sudo without a password")
            .alias(&["sudo"]).no(&["no-remote-sudo", "no-sudo"]).harmless(),
        opt(Opt::Lanes, "lanes", "connections beside ssh; auto (default) finds out itself")
            .text("NUM|auto").harmless(),
        opt(Opt::LaneKind, "lane-kind", "what they are: auto, tcp, quic; ssh: none, or NUM logins")
            .text("KIND").harmless(),
        opt(Opt::LanePorts, "lane-ports", "where to listen for them; any port if not given")
            .text("FIRST-LAST").harmless(),
        opt(Opt::LanesFrom, "lanes-from", "who opens them: here (of two hosts: DEST), there or auto")
            .text("SIDE").harmless(),
        opt(Opt::Reconnect, "reconnect", "try for so long to go on when the connection is lost: 5m")
            .text("TIME").harmless(),
        opt(Opt::Compress, "compress", "compress content on the way to another host")
            .short('z').no(&["no-compress", "no-z"]).harmless(),
        opt(Opt::CompressChoice, "compress-choice", "how to compress: zstd (default), lz4 or none")
            .alias(&["zc"]).text("NAME").harmless(),
        opt(Opt::CompressLevel, "compress-level", "how hard, as zstd has it: up to 22 (3)")
            .alias(&["zl"]).number("NUM").harmless(),
        opt(Opt::CompressThreads, "compress-threads", "threads for compressing")
            .alias(&["zt"]).number("NUM").harmless(),
        opt(Opt::OldCompress, "old-compress", "").harmless(),
        opt(Opt::NewCompress, "new-compress", "").harmless(),
        opt(Opt::SkipCompress, "skip-compress", "suffixes of files that are not compressed: gz/zip/mp[34]")
            .text("LIST").harmless(),
        opt(Opt::SecludedArgs, "secluded-args", "keep arguments away from the remote shell")
            .short('s').alias(&["protect-args"])
            .no(&["no-secluded-args", "no-protect-args", "no-s"]).harmless(),
        opt(Opt::OldArgs, "old-args", "let the remote shell split arguments")
            .no(&["no-old-args"]).harmless(),
        opt(Opt::TrustSender, "trust-sender", "believe the other host's list").harmless(),
        opt(Opt::Contimeout, "contimeout", "give up a connection that is not made after NUM seconds")
            .number("NUM").no(&["no-contimeout"]).harmless(),
        opt(Opt::Address, "address", "local address to use").text("ADDRESS").harmless(),
        opt(Opt::Port, "port", "port of a daemon").number("NUM").harmless(),
        opt(Opt::Sockopts, "sockopts", "options of sockets").text("OPTIONS").harmless(),
        opt(Opt::BlockingIo, "blocking-io", "").no(&["no-blocking-io"]).harmless(),
        opt(Opt::Ipv4, "ipv4", "IPv4 first").short('4').harmless(),
        opt(Opt::Ipv6, "ipv6", "IPv6 first").short('6').harmless(),
        opt(Opt::Motd, "motd", "").no(&["no-motd"]).harmless(),
        opt(Opt::PasswordFile, "password-file", "").text("FILE").harmless(),
        opt(Opt::EarlyInput, "early-input", "").text("FILE").harmless(),
        opt(Opt::Protocol, "protocol", "").number("NUM").harmless(),
        opt(Opt::ChecksumSeed, "checksum-seed", "").number("NUM").harmless(),
        opt(Opt::Iconv, "iconv", "").text("CHARSETS").no(&["no-iconv"]),
        opt(Opt::WriteBatch, "write-batch", "").text("FILE").not_yet(NO_BATCH),
        opt(Opt::OnlyWriteBatch, "only-write-batch", "").text("FILE").not_yet(NO_BATCH),
        opt(Opt::ReadBatch, "read-batch", "").text("FILE").not_yet(NO_BATCH),
        opt(Opt::Daemon, "daemon", "").not_yet(NO_DAEMON),
        opt(Opt::Config, "config", "").text("FILE").not_here(ONLY_DAEMON),
        opt(Opt::Dparam, "dparam", "").text("OVERRIDE").not_here(ONLY_DAEMON),
        opt(Opt::Detach, "detach", "").no(&["no-detach"]).not_here(ONLY_DAEMON),
        opt(Opt::Server, "server", "").not_yet(NO_AGENT),
        opt(Opt::Sender, "sender", "").not_yet(NO_AGENT),
    ]},
];

#[cfg(test)]
mod tests;
