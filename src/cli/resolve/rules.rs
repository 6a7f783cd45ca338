//! The list of include and exclude rules, in the order typed, and what other options add to it.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use filter::{RuleError, RuleOptions, Rules, Unprefixed};

use crate::cli::options::Opt;
use crate::cli::raw::{RawArgs, RawFlag};
use crate::cli::refusal::Refusal;
use crate::cli::surroundings::Surroundings;
use crate::exit_code::Exit;

/// What other options say about rules.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    /// `--delete-excluded`.
    pub(super) delete_excluded: bool,
    /// What is deleted lies here and the sources elsewhere: as in rsync, `-C` then also protects.
    pub(super) cvs_protects: bool,
    /// `--old-dirs`.
    pub(super) first_level_only: bool,
    /// Backups beside the files, where `--delete` could take them for extraneous.
    pub(super) protected_suffix: Option<&'a [u8]>,
    /// A relative `--partial-dir`.
    pub(super) partial_dir: Option<&'a Path>,
}

/// Makes the list. The user's own rules come first, so that they win.
pub(super) fn build(
    raw: &RawArgs,
    facts: &Facts<'_>,
    surroundings: &dyn Surroundings,
) -> Result<Rules, Refusal> {
    let mut list = List { rules: Rules::new(options(raw, facts, surroundings)), surroundings };
    let mut per_directory = 0;
    for flag in &raw.flags {
        match flag.opt {
            Opt::PerDirectoryFilter => {
                per_directory += 1;
                list.push_per_directory(per_directory)?;
            }
            // As in rsync: files that were read before stay as they are.
            Opt::From0 => list.rules.set_from0(flag.is_on()),
            _ => list.take(flag)?,
        }
    }
    if facts.first_level_only {
        list.push(b"- /*/*")?;
    }
    if let Some(suffix) = facts.protected_suffix.filter(|_| !facts.delete_excluded) {
        list.rules.push_protect_suffix(suffix);
    }
    if let Some(dir) = facts.partial_dir {
        list.rules.push_perishable_exclude(dir.as_os_str().as_bytes());
    }
    if raw.count(Opt::CvsExclude) > 0 {
        list.rules.push_cvs(facts.cvs_protects).map_err(|error| refuse(&error))?;
    }
    Ok(list.rules)
}

fn options(raw: &RawArgs, facts: &Facts<'_>, surroundings: &dyn Surroundings) -> RuleOptions {
    let may_use_cvs_rules = raw
        .flags
        .iter()
        .any(|flag| matches!(flag.opt, Opt::CvsExclude | Opt::Filter | Opt::PerDirectoryFilter));
    let home = surroundings.variable("HOME").filter(|_| may_use_cvs_rules);
    let cvsignore = home.map(|home| PathBuf::from(home).join(".cvsignore"));
    RuleOptions {
        // Set as the flags are gone through.
        from0: false,
        delete_excluded: facts.delete_excluded,
        home_cvsignore: cvsignore.and_then(|name| surroundings.read_file(&name).ok()),
        cvsignore_variable: surroundings
            .variable("CVSIGNORE")
            .map(|value| value.as_os_str().as_bytes().to_vec()),
    }
}

struct List<'a> {
    rules: Rules,
    surroundings: &'a dyn Surroundings,
}

impl List<'_> {
    fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        match flag.opt {
            Opt::From0 => {
                self.rules.set_from0(flag.is_on());
                Ok(())
            }
            Opt::Filter => self.push(flag.bytes()),
            Opt::Exclude => self.push_pattern(flag, Unprefixed::Exclude),
            Opt::Include => self.push_pattern(flag, Unprefixed::Include),
            Opt::ExcludeFrom => self.push_list(flag, Unprefixed::Exclude),
            Opt::IncludeFrom => self.push_list(flag, Unprefixed::Include),
            _ => Ok(()),
        }
    }

    /// `-F`: the first time heeds the files, the second time leaves them out, more change nothing.
    fn push_per_directory(&mut self, times: usize) -> Result<(), Refusal> {
        match times {
            1 => self.push(b": /.rsync-filter"),
            2 => self.push(b"- .rsync-filter"),
            _ => Ok(()),
        }
    }

    fn push(&mut self, rule: &[u8]) -> Result<(), Refusal> {
        let surroundings = self.surroundings;
        let mut read = |name: &[u8]| -> io::Result<Vec<u8>> {
            let name = collapsed(Path::new(std::ffi::OsStr::from_bytes(name)));
            surroundings.read_file(&name)
        };
        self.rules.push(rule, &mut read).map_err(|error| refuse(&error))
    }

    fn push_pattern(&mut self, flag: &RawFlag, meaning: Unprefixed) -> Result<(), Refusal> {
        self.rules.push_pattern(flag.bytes(), meaning).map_err(|error| refuse(&error))
    }

    fn push_list(&mut self, flag: &RawFlag, meaning: Unprefixed) -> Result<(), Refusal> {
        let contents = self
            .surroundings
            .read_file(Path::new(&flag.value))
            .map_err(|error| Refusal::file(Exit::FileIo, &flag.spelling, flag.bytes(), &error))?;
        self.rules.push_list(&contents, meaning, flag.bytes()).map_err(|error| refuse(&error))
    }
}

/// As rsync: what `..` leads back from need not be there.
fn collapsed(path: &Path) -> PathBuf {
    let mut collapsed = PathBuf::new();
    for component in path.components() {
        let is_inside = matches!(collapsed.components().next_back(), Some(Component::Normal(_)));
        match component {
            Component::ParentDir if is_inside => drop(collapsed.pop()),
            component => collapsed.push(component),
        }
    }
    collapsed
}

fn refuse(error: &RuleError) -> Refusal {
    let exit = if error.is_io() { Exit::FileIo } else { Exit::Usage };
    Refusal { exit, sentence: error.to_string() }
}
