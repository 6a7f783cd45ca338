//! What a requester may be served: what the job needs, told by the job itself.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use filter::Rules;
use model::{Job, Settings};

use super::Reach;
use crate::{pipeline, selection};

/// What a requester may be served.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The directories that it may begin from, as they are spelt in the job, and what may be reached
    /// from each; `None` where it works for the user of this host, who may begin anywhere.
    pub roots: Option<BTreeMap<Box<[u8]>, Arc<Reach>>>,
    /// All links may be followed below what is named. Else only those on the way to it may be, and own
    /// ones that have the name of a merge file.
    pub follows_links: bool,
    /// Names of merge files, which may be read in any directory on the way.
    pub rule_files: BTreeSet<Box<[u8]>>,
    /// Files may be removed.
    pub removes_files: bool,
}

impl Terms {
    /// What a job needs of its source, and no more.
    pub fn for_job(job: &Job, rules: &Rules) -> Self {
        let mut terms = Self::for_job_below(job, rules);
        terms.let_rules_be_read_above(rules);
        terms
    }

    /// The same for who is believed in what it asks for below where the job begins: it asks for its own
    /// user, or names by a list what it wants. Above that it reads merge files, and nothing else.
    /// Test: `above_where_a_job_begins_only_rules_are_read`.
    pub fn for_all_below(job: &Job, rules: &Rules) -> Self {
        let mut terms = Self { follows_links: true, ..Self::for_job_below(job, rules) };
        let whole = Arc::new(Reach::whole());
        for reach in terms.roots.iter_mut().flat_map(BTreeMap::values_mut) {
            *reach = Arc::clone(&whole);
        }
        terms.let_rules_be_read_above(rules);
        terms
    }

    fn for_job_below(job: &Job, rules: &Rules) -> Self {
        let Settings { traverse, links, write, .. } = &job.settings;
        let mut roots = BTreeMap::<Box<[u8]>, Reach>::new();
        if traverse.files_from.is_some() {
            // It is looked at also where the list is empty.
            let bases = job.sources.iter().map(|source| source.path.as_os_str().as_bytes());
            roots.extend(bases.map(|base| (base.into(), Reach::default())));
        }
        selection::for_each_argument(job, |asked| {
            roots.entry(asked.base.into()).or_default().add(&asked);
        });
        Self {
            roots: Some(roots.into_iter().map(|(path, reach)| (path, Arc::new(reach))).collect()),
            follows_links: links.follows_some(),
            rule_files: rules.merge_file_names().map(Into::into).collect(),
            removes_files: write.remove_source_files && !job.settings.dry_run,
        }
    }

    /// Merge files above a transfer root are asked for by absolute paths, and so are those in it.
    fn let_rules_be_read_above(&mut self, rules: &Rules) {
        let Some(roots) = self.roots.as_mut().filter(|_| rules.looks_above_source()) else {
            return;
        };
        let bases: Vec<_> = roots.keys().map(|base| pipeline::absolute(base)).collect();
        for base in bases {
            let above = filter::directories_above(&base);
            for path in above.chain([base.clone()]) {
                roots.entry(path.into()).or_default();
            }
        }
    }
}
