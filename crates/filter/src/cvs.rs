//! The patterns that CVS ignores without being told, as `-C` adds them.

/// Separated by blanks; all are perishable.
pub(crate) const DEFAULT_PATTERNS: &[u8] = b"RCS SCCS CVS CVS.adm RCSLOG cvslog.* tags TAGS \
.make.state .nse_depinfo *~ #* .#* ,* _$* *$ *.old *.bak *.BAK *.orig *.rej .del-* *.a *.olb *.o \
*.obj *.so *.exe *.Z *.elc *.ln core .svn/ .git/ .hg/ .bzr/";
