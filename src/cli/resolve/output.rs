//! What a person or a script sees.

use std::path::PathBuf;

use report::settings::{
    HumanReadable, Info, Itemize, Items, MessageStream, NameEscapes, OutBuf, OutputStyle, Progress,
    Settings, Streams, Volume,
};

use super::words::{DEBUG, INFO, Levels};
use crate::cli::options::Opt;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;
use crate::cli::surroundings::Surroundings;

/// What was typed about it so far.
#[derive(Debug)]
pub(super) struct Typed {
    verbosity: u8,
    itemize: u8,
    stats: bool,
    /// `--progress` and `--no-progress`.
    progress: Option<bool>,
    human: u8,
    outbuf: Option<OutBuf>,
    info: Levels<13>,
    debug: Levels<24>,
    log_file: Option<PathBuf>,
    plain: Settings,
}

/// The level of `-h` without any.
const DEFAULT_HUMAN_LEVEL: u8 = 1;

impl Typed {
    pub(super) fn new() -> Self {
        Self {
            verbosity: 0,
            itemize: 0,
            stats: false,
            progress: None,
            human: DEFAULT_HUMAN_LEVEL,
            outbuf: None,
            info: Levels::new("--info", &INFO),
            debug: Levels::new("--debug", &DEBUG),
            log_file: None,
            plain: Settings::default(),
        }
    }

    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        let on = flag.is_on();
        match flag.opt {
            Opt::Verbose => self.verbosity = raised(self.verbosity, on),
            Opt::Quiet => self.plain.volume = Volume::Quiet,
            Opt::Info => self.info.take(flag.text()?)?,
            Opt::Debug => self.debug.take(flag.text()?)?,
            Opt::ItemizeChanges => self.itemize = raised(self.itemize, on),
            Opt::OutFormat => self.plain.items.out_format = Some(flag.bytes().into()),
            Opt::Stats => self.stats = true,
            Opt::Progress => self.progress = Some(on),
            Opt::PartialProgress => self.progress = Some(true),
            Opt::HumanReadable => self.human = raised(self.human, on),
            Opt::EightBitOutput if on => self.plain.streams.names = NameEscapes::ControlOnly,
            Opt::EightBitOutput => self.plain.streams.names = NameEscapes::default(),
            Opt::Json if on => self.plain.style = OutputStyle::Json,
            Opt::Json => self.plain.style = OutputStyle::Rsync,
            Opt::LogFile => self.log_file = Some(PathBuf::from(&flag.value)),
            Opt::LogFileFormat => self.plain.items.log_format = Some(flag.bytes().into()),
            Opt::Outbuf => self.outbuf = Some(outbuf(flag)?),
            Opt::Stderr => self.plain.streams.messages = messages(flag)?,
            Opt::Msgs2stderr if on => self.plain.streams.messages = MessageStream::Stderr,
            Opt::Msgs2stderr => self.plain.streams.messages = MessageStream::Stdout,
            _ => {}
        }
        Ok(())
    }

    /// Settles it; what the run as a whole is like is left to the caller.
    pub(super) fn settle(
        self,
        list_only: bool,
        surroundings: &dyn Surroundings,
    ) -> (Settings, Option<PathBuf>) {
        let info = self.info_levels();
        let items = self.items(info.name);
        let progress = self.progress(list_only, surroundings);
        let streams = self.streams(surroundings);
        let numbers = HumanReadable::from_level(self.human);
        (Settings { items, info, numbers, progress, streams, ..self.plain }, self.log_file)
    }

    fn info_levels(&self) -> Info {
        let level = |word| self.info.level(word, self.verbosity, 0);
        let is_format_typed = self.plain.items.out_format.is_some();
        let has_format = is_format_typed || self.itemize > 0;
        let shows_progress = self.progress == Some(true);
        let stats = match (self.stats, self.verbosity) {
            (false, _) => 0,
            (true, 0 | 1) => 2,
            (true, _) => 3,
        };
        Info {
            backup: level("backup"),
            copy: level("copy"),
            del: level("del"),
            flist: self.info.level("flist", self.verbosity, if shows_progress { 2 } else { 0 }),
            made: self.info.level(
                "name",
                self.verbosity,
                u8::from(shows_progress && !is_format_typed),
            ),
            misc: level("misc"),
            mount: level("mount"),
            name: self.info.level("name", self.verbosity, u8::from(has_format || shows_progress)),
            nonreg: level("nonreg"),
            remove: level("remove"),
            skip: level("skip"),
            stats: self.info.level("stats", self.verbosity, stats),
            symsafe: level("symsafe"),
            filter: self.debug.level("filter", self.verbosity, 0),
            deltasum: self.debug.level("deltasum", self.verbosity, 0),
        }
    }

    fn items(&self, name_level: u8) -> Items {
        let typed = self.plain.items.clone();
        let default: Option<&[u8]> = match (self.itemize, name_level) {
            (1.., _) => Some(b"%i %n%L"),
            (0, 1..) => Some(b"%n%L"),
            (0, 0) => None,
        };
        let itemize = match self.itemize {
            0 => Itemize::Off,
            1 => Itemize::Changed,
            _ => Itemize::Unchanged,
        };
        let out_format = typed.out_format.or(default.map(Into::into));
        Items { out_format, itemize, log_format: typed.log_format, ..typed }
    }

    /// The live display is for whoever looks at a terminal and said nothing about progress.
    fn progress(&self, list_only: bool, surroundings: &dyn Surroundings) -> Progress {
        let said = self.progress.is_some() || self.info.is_named("progress");
        match self.info.level("progress", 0, u8::from(self.progress == Some(true))) {
            0 if said || list_only => Progress::Off,
            _ if self.plain.volume == Volume::Quiet => Progress::Off,
            _ if self.plain.style == OutputStyle::Json => Progress::Off,
            0 if surroundings.stderr_is_terminal() => Progress::Live,
            0 => Progress::Off,
            1 => Progress::PerFile,
            _ => Progress::TotalLine,
        }
    }

    fn streams(&self, surroundings: &dyn Surroundings) -> Streams {
        let unsaid = if surroundings.stdout_is_terminal() { OutBuf::Line } else { OutBuf::Block };
        let Streams { messages, names, .. } = self.plain.streams;
        let names = match names {
            NameEscapes::Unprintable if !is_utf8_locale(surroundings) => NameEscapes::NonAscii,
            names => names,
        };
        Streams { outbuf: self.outbuf.unwrap_or(unsaid), messages, names }
    }
}

fn raised(level: u8, on: bool) -> u8 {
    if on { level.saturating_add(1) } else { 0 }
}

fn outbuf(flag: &RawFlag) -> Result<OutBuf, Refusal> {
    Ok(match flag.bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'n' | b'u') => OutBuf::None,
        Some(b'l') => OutBuf::Line,
        Some(b'b' | b'f') => OutBuf::Block,
        _ => return Err(flag.refuse("is not one of none, line and block")),
    })
}

fn messages(flag: &RawFlag) -> Result<MessageStream, Refusal> {
    let mode = flag.bytes();
    let is = |name: &[u8]| !mode.is_empty() && name.starts_with(mode);
    if is(b"all") {
        Ok(MessageStream::Stderr)
    } else if is(b"errors") || is(b"client") {
        Ok(MessageStream::Stdout)
    } else {
        Err(flag.refuse("is not one of errors, all and client"))
    }
}

/// As setlocale(3) finds the character set: the first of these that is set says it.
fn is_utf8_locale(surroundings: &dyn Surroundings) -> bool {
    let set = |name| surroundings.variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
