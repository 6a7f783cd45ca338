//! Draws a random command line that means something on one machine.
//!
//! An option with what belongs to it is one `Group`, so that the shrinker can drop it as a whole.
//! Combinations that rsync refuses are left out here; usage errors have their own tests.

use crate::support::rng::Rng;
use crate::support::tree::{Kind, Node, Tree};

/// The words of one option.
pub(crate) type Group = Vec<Vec<u8>>;

/// A command line in the making, and the rule files that its options need.
pub(crate) struct Draft<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) tree: &'a mut Tree,
    pub(crate) groups: Vec<Group>,
    /// Trees beside the destination that --link-dest and its kin may name.
    pub(crate) basis: Vec<&'static str>,
}

/// Options of which any may come with any other, and in how many of a hundred cases each does.
const FREE: &[(usize, &str)] = &[
    (25, "-H"),
    (12, "-A"),
    (15, "-X"),
    (3, "-x"),
    (7, "-u"),
    (10, "-c"),
    (8, "-S"),
    (5, "-W"),
    (8, "--no-W"),
    (4, "--existing"),
    (4, "--ignore-existing"),
    (4, "--size-only"),
    (5, "-I"),
    (3, "--modify-window=1"),
    (2, "--modify-window=-1"),
    (2, "--modify-window=3600"),
    (3, "--max-size=1K"),
    (2, "--max-size=100"),
    (3, "--min-size=6"),
    (2, "--min-size=1KB"),
    (10, "--numeric-ids"),
    (4, "-m"),
    (4, "-O"),
    (3, "-J"),
    (3, "-E"),
    (4, "--remove-source-files"),
    (5, "--force"),
    (5, "--ignore-errors"),
    (4, "--fuzzy"),
    (2, "--mkpath"),
    (8, "-n"),
    (3, "--munge-links"),
    (4, "--fake-super"),
    (3, "--super"),
    (3, "-U"),
    (4, "--no-implied-dirs"),
    (4, "--copy-unsafe-links"),
    (4, "--safe-links"),
    (4, "-L"),
    (5, "-k"),
    (6, "-K"),
    (2, "-P"),
    (4, "--ignore-missing-args"),
    (4, "--delete-missing-args"),
    (2, "--preallocate"),
    (1, "--open-noatime"),
    (1, "--fsync"),
    (2, "--no-inc-recursive"),
    (3, "--no-perms"),
    (3, "--no-times"),
    (3, "--no-o"),
    (3, "--no-group"),
    (3, "--no-links"),
    (4, "--no-D"),
    (2, "--no-specials"),
    (2, "--no-devices"),
    (2, "-dr"),
    (1, "--block-size=512"),
];

impl Draft<'_> {
    /// Adds all options; sources and destination are drawn elsewhere.
    pub(crate) fn draw(&mut self) {
        self.base();
        for (percent, option) in FREE {
            if self.rng.chance(*percent) {
                self.add(&[option]);
            }
        }
        self.attributes();
        self.deletion();
        self.backup();
        self.basis_dirs();
        self.placement();
        self.filters();
        self.output();
    }

    fn add(&mut self, words: &[&str]) {
        self.groups.push(words.iter().map(|word| word.as_bytes().to_vec()).collect());
    }

    fn add_bytes(&mut self, words: &[&[u8]]) {
        self.groups.push(words.iter().map(|word| word.to_vec()).collect());
    }

    fn one_of(&mut self, percent: usize, options: &[&str]) {
        if self.rng.chance(percent) {
            let option = *self.rng.pick(options);
            self.add(&[option]);
        }
    }

    pub(crate) fn has(&self, option: &str) -> bool {
        self.groups.iter().any(|group| group[0] == option.as_bytes())
    }

    fn base(&mut self) {
        match self.rng.below(20) {
            0..13 => self.add(&["-a"]),
            13..18 => {
                self.add(&["-r"]);
                for part in ["-l", "-p", "-t", "-g", "-o", "-D"] {
                    if self.rng.chance(50) {
                        self.add(&[part]);
                    }
                }
            }
            18 => self.add(&["-lptgoD", "-d"]),
            _ => self.add(&["-t"]),
        }
    }

    fn recurses(&self) -> bool {
        ["-a", "-r", "-dr"].iter().any(|option| self.has(option))
    }

    fn attributes(&mut self) {
        let modes = [
            "--chmod=D0700,F0600",
            "--chmod=a+rX",
            "--chmod=Dg+s,ug+w,Fo-w,+X",
            "--chmod=F644",
            "--chmod=u=rwX,go=",
            "--chmod=D2755,F-x",
            "--chmod=o-rwx",
            "--chmod=u+s,+t",
        ];
        self.one_of(8, &modes);
        let owners = [
            "--chown=1234:1",
            "--chown=:1234",
            "--chown=daemon",
            "--usermap=1234:4321,daemon:bin",
            "--usermap=0-2000:1234",
            "--groupmap=*:1234",
            "--groupmap=1234:1,*:5678",
            "--usermap=*:65534",
        ];
        self.one_of(8, &owners);
    }

    fn deletion(&mut self) {
        if self.rng.chance(50) && (self.recurses() || self.has("-d")) {
            let when = [
                "--delete",
                "--delete",
                "--del",
                "--delete-before",
                "--delete-during",
                "--delete-delay",
                "--delete-after",
            ];
            let when = *self.rng.pick(&when);
            self.add(&[when]);
            self.one_of(20, &["--delete-excluded"]);
            self.one_of(
                10,
                &["--max-delete=0", "--max-delete=1", "--max-delete=3", "--max-delete=100"],
            );
        }
    }

    fn backup(&mut self) {
        if self.rng.chance(12) {
            self.add(&["-b"]);
            self.one_of(40, &["--suffix=.old", "--suffix=~", "--suffix=.txt"]);
            self.one_of(50, &["--backup-dir=bk", "--backup-dir=../bk", "--backup-dir=@ROOT@/bk"]);
        }
    }

    fn basis_dirs(&mut self) {
        if self.basis.is_empty() {
            return;
        }
        let option =
            *self.rng.pick(&["--link-dest", "--link-dest", "--copy-dest", "--compare-dest"]);
        for name in self.basis.clone() {
            let place = *self.rng.pick(&["../", "@ROOT@/"]);
            self.add(&[&format!("{option}={place}{name}")]);
        }
        if self.rng.chance(5) {
            self.add(&[&format!("{option}=../no-such-basis")]);
        }
    }

    /// How file contents come to their place.
    fn placement(&mut self) {
        match self.rng.below(40) {
            0..4 => self.add(&["--inplace"]),
            4 if !self.has("-W") => self.add(&["--append"]),
            5 if !self.has("-W") => self.add(&["--append-verify"]),
            6 => self.add(&["--partial-dir=.part"]),
            7 => self.add(&["--partial-dir=@ROOT@/part"]),
            8..10 => self.add(&["--delay-updates"]),
            10 => self.add(&["--temp-dir=@ROOT@/outside/dir"]),
            11 => self.add(&["--partial"]),
            _ => {}
        }
    }

    fn filters(&mut self) {
        if !self.rng.chance(35) {
            return;
        }
        for _ in 0..self.rng.between(1, 4) {
            match self.rng.below(12) {
                0..3 => self.pattern_option("--exclude"),
                3..5 => self.pattern_option("--include"),
                5..8 => {
                    let rule = self.rule(true);
                    self.add_bytes(&[b"-f", &rule]);
                }
                8 => {
                    self.rule_file("rules", 4, true);
                    self.one_of(100, &["--filter=merge rules", "-f._rules", "--filter=._rules"]);
                }
                9 => {
                    self.rule_file("patterns", 4, false);
                    self.one_of(100, &["--exclude-from=patterns", "--include-from=patterns"]);
                }
                10 => {
                    self.directory_rules(".rsync-filter");
                    self.one_of(100, &["-F", "-FF"]);
                }
                _ => {
                    let rules = [
                        "dir-merge .rules",
                        ":_.rules",
                        ":e_.rules",
                        ":n_.rules",
                        ":p_.rules",
                        ":x_.rules",
                        ":/_.rules",
                        // What such a file holds is taken as patterns or as rules of one side; a
                        // rule that names a side again would be an error in the middle of the run.
                        ":-_.plain",
                        ":-w_.plain",
                        ":+_.plain",
                        ":s_.plain",
                        ":r_.plain",
                    ];
                    let rule = *self.rng.pick(&rules);
                    self.directory_rules(&rule[rule.len() - 6..]);
                    self.add(&["-f", rule]);
                }
            }
        }
        self.one_of(10, &["-C", "-f:C"]);
    }

    fn pattern_option(&mut self, option: &str) {
        let word = [option.as_bytes(), b"=", &self.pattern()].concat();
        self.add_bytes(&[&word]);
    }

    fn rule_file(&mut self, path: &str, rules: usize, with_prefix: bool) {
        let mut text = Vec::new();
        for _ in 0..rules {
            let line = if with_prefix { self.rule(false) } else { self.pattern() };
            text.extend_from_slice(&line);
            text.push(b'\n');
        }
        if self.rng.chance(30) {
            text.extend_from_slice(b"\n# a comment\n; another\n");
        }
        let tree = std::mem::take(self.tree);
        *self.tree = tree.file(path, text);
    }

    /// Rule files in some directories of source and destination.
    fn directory_rules(&mut self, name: &str) {
        let dirs: Vec<Vec<u8>> = self
            .tree
            .nodes
            .iter()
            .filter(|node| {
                node.kind == Kind::Dir
                    && (node.path.starts_with(b"src") || node.path.starts_with(b"dst"))
            })
            .map(|node| node.path.clone())
            .collect();
        for _ in 0..self.rng.between(1, 3) {
            let mut path = self.rng.pick(&dirs).clone();
            path.push(b'/');
            path.extend_from_slice(name.as_bytes());
            let mut text = Vec::new();
            for _ in 0..self.rng.between(1, 3) {
                let line = match name {
                    ".plain" => [b"- ", &self.pattern()[..]].concat(),
                    _ => self.rule(false),
                };
                text.extend_from_slice(&line);
                text.push(b'\n');
            }
            let node =
                Node::plain(&path, Kind::File(vec![crate::support::tree::Segment::Bytes(text)]));
            self.tree.push(node);
        }
    }

    fn rule(&mut self, may_clear: bool) -> Vec<u8> {
        if may_clear && self.rng.chance(4) {
            return b"!".to_vec();
        }
        let prefixes: [&[u8]; 20] = [
            b"- ",
            b"- ",
            b"- ",
            b"+ ",
            b"+ ",
            b"-_",
            b"exclude ",
            b"include ",
            b"hide ",
            b"H ",
            b"show ",
            b"S ",
            b"protect ",
            b"P ",
            b"risk ",
            b"R ",
            b"-p ",
            b"-s ",
            b"-! ",
            b"-/ ",
        ];
        [*self.rng.pick(&prefixes), &self.pattern()].concat()
    }

    /// A pattern that has a chance to match: a name or path of the tree, or a wildcard.
    fn pattern(&mut self) -> Vec<u8> {
        let wild: [&[u8]; 16] = [
            b"*",
            b"*/",
            b"*.o",
            b"foo*",
            b"/*",
            b"**/foo",
            b"foo/**",
            b"[a-c]",
            b"[!a-c]*",
            b"?",
            b"foo/***",
            b"[[:upper:]]*",
            b"*o*",
            b"a*/b*",
            b"\\*",
            b"/foo/*/",
        ];
        let near = self.name_in_tree();
        match self.rng.below(8) {
            0..3 => near,
            3 => [b"/", &near[..]].concat(),
            4 => [&near[..], b"/"].concat(),
            5 => [&near[..], *self.rng.pick(&[&b"*"[..], b"/***", b"/*", b"**"])].concat(),
            _ => self.rng.pick(&wild).to_vec(),
        }
    }

    /// A path or the last part of one, among those that fit on a line of a rule file.
    fn name_in_tree(&mut self) -> Vec<u8> {
        let names: Vec<&[u8]> = self
            .tree
            .nodes
            .iter()
            .filter_map(|node| node.path.strip_prefix(b"src/").or(node.path.strip_prefix(b"dst/")))
            .filter(|name| !name.contains(&b'\n') && name.len() < 60)
            .collect();
        if names.is_empty() {
            return b"foo".to_vec();
        }
        let path = *self.rng.pick(&names);
        let from = path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
        if self.rng.chance(65) { path[from..].to_vec() } else { path.to_vec() }
    }

    /// What is printed. Only what rsync prints in a fixed order and without the clock.
    fn output(&mut self) {
        match self.rng.below(20) {
            0..10 => self.add(&["-i"]),
            10..14 => self.add(&["-ii"]),
            14 => self.add(&["-vi"]),
            15 => self.add(&["-vvi"]),
            16 => self.add(&["--out-format=%i %n|%L|%l|%o|%M|%B|%U|%G"]),
            17 => self.add(&["-i", "--out-format=%i %f%L"]),
            18 if self.rng.chance(40) => self.add(&["--list-only"]),
            _ => self.add(&["-v"]),
        }
    }
}
