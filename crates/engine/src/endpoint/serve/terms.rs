//! What a requester may be served: what the job needs, told by the job itself.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use filter::Rules;
use model::settings::{Links, OneFileSystem, Symlinks};
use model::{Interest, Job, Settings, Suffixes, Topic};

use super::Reach;
use crate::pipeline;
use crate::run::join;
use crate::selection::asked::{self, Asked};

/// Links that may be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Follows {
    /// None.
    None,
    /// Those to directories that lie below where the job begins: a list of the other side may lead
    /// through them.
    DirectoriesBelow,
    /// Those to directories (`-k`).
    Directories,
    /// All.
    All,
}

/// What a requester may be served.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The directories that it may begin from, as they are spelt in the job, and what may be reached
    /// from each; `None` where it works for the user of this host, who may begin anywhere.
    pub roots: Option<BTreeMap<Box<[u8]>, Arc<Reach>>>,
    /// The images that may be opened, as they are spelt in the job; `None` for any.
    pub images: Option<BTreeSet<Box<[u8]>>>,
    /// Which links may be followed below what is named. Beside these, those on the way to it may be, and
    /// own ones that have the name of a merge file.
    pub follows_links: Follows,
    /// Where its transfers begin is not known: merge files above that are asked for by paths from `/` that
    /// lead to below where the job begins.
    pub begins_anywhere: bool,
    /// Names of merge files, which may be read in any directory on the way.
    pub rule_files: BTreeSet<Box<[u8]>>,
    /// Own links that have such a name may lead anywhere, and not only to what lies below where the job
    /// begins.
    pub believes_own_links: bool,
    /// Files may be removed.
    pub removes_files: bool,
    /// What these hide is not served, where a transfer begins and below.
    pub rules: Option<Arc<Rules>>,
    /// Names that rules hide are told, and nothing but the names: the user asked to hear of them.
    pub tells_what_is_hidden: bool,
    /// `-x`: what is mounted below where the job begins is not entered.
    pub stays_on_device: bool,
    /// The name of any user and group is told, not only of those that own what was told.
    pub names_any_owner: bool,
    /// `--copy-devices`: devices are read, as if they were files.
    pub reads_devices: bool,
    /// What is compressed already, by its name; nobody asks where nothing is compressed.
    pub left_as_is: Option<Suffixes>,
}

impl Terms {
    /// All may be asked.
    #[cfg(test)]
    pub(crate) fn trusting() -> Self {
        Self {
            roots: None,
            images: None,
            follows_links: Follows::All,
            begins_anywhere: false,
            rule_files: BTreeSet::new(),
            believes_own_links: true,
            removes_files: true,
            rules: None,
            tells_what_is_hidden: true,
            stays_on_device: false,
            names_any_owner: false,
            reads_devices: true,
            left_as_is: None,
        }
    }

    /// What a job needs of its source, and no more.
    pub fn for_job(job: &Job, rules: &Rules) -> Self {
        let mut terms = Self::for_job_below(job, rules);
        let mut starts = BTreeSet::new();
        if rules.looks_above_source() {
            asked::for_each_argument(job, |Asked { base, way, begins_at, .. }| {
                let front: Vec<_> = way.iter().copied().take(begins_at).collect();
                let front = if front.is_empty() { b".".to_vec() } else { front.join(&b'/') };
                starts.insert(join(base, &front));
            });
        }
        terms.let_rules_be_read_above(rules, starts);
        terms
    }

    /// What a job needs that is about an image, and no more: that this is opened to be read.
    pub fn for_image(image: &Path, left_as_is: Option<Suffixes>) -> Self {
        let image = image.as_os_str().as_bytes();
        Self {
            roots: Some(BTreeMap::new()),
            images: Some(BTreeSet::from([image.into()])),
            follows_links: Follows::None,
            begins_anywhere: false,
            rule_files: BTreeSet::new(),
            believes_own_links: false,
            removes_files: false,
            rules: None,
            tells_what_is_hidden: false,
            stays_on_device: false,
            names_any_owner: false,
            reads_devices: false,
            left_as_is,
        }
    }

    /// The same for who asks for its own user, and is believed in what it asks for below where the job
    /// begins. Above that it reads merge files, and nothing else.
    /// Test: `above_where_a_job_begins_only_rules_are_read`.
    pub fn for_all_below(job: &Job, rules: &Rules) -> Self {
        let terms = Self::for_any_names(job, rules);
        Self { follows_links: Follows::All, believes_own_links: true, ..terms }
    }

    /// What a job needs of its source where the other side has the list of its names.
    pub fn for_far_list(job: &Job, rules: &Rules) -> Self {
        let terms = Self::for_any_names(job, rules);
        Self { follows_links: terms.follows_links.max(Follows::DirectoriesBelow), ..terms }
    }

    fn for_any_names(job: &Job, rules: &Rules) -> Self {
        // Where its transfers begin is not known, and so not what rules say of a path.
        let mut terms = Self { rules: None, ..Self::for_job_below(job, rules) };
        let whole = Arc::new(Reach::whole());
        for reach in terms.roots.iter_mut().flat_map(BTreeMap::values_mut) {
            *reach = Arc::clone(&whole);
        }
        terms.begins_anywhere = rules.looks_above_source();
        terms.let_rules_be_read_above(rules, BTreeSet::new());
        terms
    }

    fn for_job_below(job: &Job, rules: &Rules) -> Self {
        let Settings { traverse, links, preserve, write, compression, topics, interest, .. } =
            &job.settings;
        let mut roots = BTreeMap::<Box<[u8]>, Reach>::new();
        if traverse.files_from.is_some() {
            // It is looked at also where the list is empty.
            let bases = job.sources.iter().map(|source| source.path.as_os_str().as_bytes());
            roots.extend(bases.map(|base| (base.into(), Reach::default())));
        }
        asked::for_each_argument(job, |asked| {
            roots.entry(asked.base.into()).or_default().add(&asked);
        });
        Self {
            images: Some(BTreeSet::new()),
            roots: Some(roots.into_iter().map(|(path, reach)| (path, Arc::new(reach))).collect()),
            follows_links: follows(links),
            begins_anywhere: false,
            rule_files: rules.merge_file_names().map(Into::into).collect(),
            believes_own_links: false,
            removes_files: write.remove_source_files && !job.settings.dry_run,
            rules: (!rules.is_empty()).then(|| Arc::new(rules.clone())),
            tells_what_is_hidden: topics.contains(Topic::Filter)
                || *interest == Interest::Everything,
            stays_on_device: traverse.one_file_system != OneFileSystem::Cross,
            names_any_owner: preserve.source_pretends,
            reads_devices: write.copy_devices,
            left_as_is: compression.as_ref().map(|compression| compression.skipped.clone()),
        }
    }

    /// Merge files above where a transfer begins are asked for by absolute paths, and so are those there.
    fn let_rules_be_read_above(&mut self, rules: &Rules, mut starts: BTreeSet<Box<[u8]>>) {
        let Some(roots) = self.roots.as_mut().filter(|_| rules.looks_above_source()) else {
            return;
        };
        starts.extend(roots.keys().cloned());
        for start in starts {
            for path in filter::directories_up(&pipeline::absolute(&start)) {
                roots.entry(path.into()).or_default();
            }
        }
    }
}

fn follows(links: &Links) -> Follows {
    if links.symlinks == Symlinks::Follow || links.copy_unsafe {
        Follows::All
    } else if links.copy_dirlinks {
        Follows::Directories
    } else {
        Follows::None
    }
}
