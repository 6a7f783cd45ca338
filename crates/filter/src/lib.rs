//! Include and exclude rules as rsync understands them.
