//! Which crate may use which: the arrows of ARCHITECTURE.md.

use super::Finding;
use super::tree::Tree;

/// Each crate with those that it may use. Tests may use `testfs` besides.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("filter", &[]),
    ("delta", &[]),
    ("sched", &[]),
    ("fs", &["model"]),
    ("report", &["model"]),
    ("wire", &["model"]),
    ("fleet", &["model", "filter", "sched", "fs"]),
    ("drive", &["model", "filter", "sched", "fs", "fleet"]),
    ("engine", &["model", "filter", "delta", "sched", "fs", "wire"]),
    ("net", &["model", "wire"]),
    ("errand", &["model", "filter", "sched", "wire"]),
    ("testfs", &[]),
    ("fuzz", &["delta", "errand", "wire"]),
    ("xtask", &[]),
    (
        "lanesync",
        &[
            "model", "filter", "delta", "sched", "fs", "engine", "report", "wire", "net", "errand",
            "fleet",
        ],
    ),
];

/// What exists only for tests.
const FOR_TESTS: &[&str] = &["testfs"];

/// Dependencies between our crates follow the arrows.
pub(super) fn only_those_drawn(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.files().iter().filter_map(|file| Some((file, crate_of(&file.path)?)));
    let mut findings = Vec::new();
    for (file, name) in manifests {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            let what = format!(
                "the crate {name} has no arrows yet: draw them in tidy and in ARCHITECTURE.md"
            );
            findings.push(Finding::file(&file.path, what));
            continue;
        };
        match file.text.parse::<toml::Table>() {
            Ok(manifest) => {
                for (used, for_tests) in used_by(&manifest) {
                    let is_drawn =
                        allowed.contains(&&*used) || (for_tests && FOR_TESTS.contains(&&*used));
                    if !is_drawn {
                        let what = format!("{name} may not use {used}");
                        findings.push(Finding::file(&file.path, what));
                    }
                }
            }
            Err(error) => findings.push(Finding::file(&file.path, error.message())),
        }
    }
    findings
}

/// The crate that a manifest describes.
fn crate_of(path: &str) -> Option<&str> {
    match path.strip_suffix("Cargo.toml")? {
        "" => Some("lanesync"),
        dir => dir.strip_suffix('/')?.rsplit('/').next(),
    }
}

/// Our crates among the dependencies, and whether only tests use them.
fn used_by(manifest: &toml::Table) -> Vec<(String, bool)> {
    let mut used = Vec::new();
    let for_targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = for_targets.into_iter().flat_map(|table| table.values());
    let tables = targets.filter_map(toml::Value::as_table).chain([manifest]);
    for table in tables {
        for (key, for_tests) in
            [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
        {
            let Some(dependencies) = table.get(key).and_then(toml::Value::as_table) else {
                continue;
            };
            used.extend(dependencies.iter().filter_map(|(alias, what)| {
                let package = what.get("package").and_then(toml::Value::as_str);
                our_name(package.unwrap_or(alias)).map(|name| (name.to_owned(), for_tests))
            }));
        }
    }
    used
}

/// Our short name of a package, if it is one of ours.
fn our_name(package: &str) -> Option<&str> {
    let short = package.strip_prefix("lanesync-").unwrap_or(package);
    ARROWS.iter().any(|(known, _)| *known == short).then_some(short)
}

#[cfg(test)]
mod tests {
    use super::only_those_drawn;
    use crate::tidy::testing::says;

    #[track_caller]
    fn check(path: &str, manifest: &str, expected: &[&str]) {
        says(only_those_drawn, &[(path, manifest)], expected);
    }

    #[test]
    fn what_is_drawn_passes() {
        let engine = "[dependencies]\nmodel.workspace = true\nfs.workspace = true\nserde = \"1\"\n";
        check("crates/engine/Cargo.toml", engine, &[]);
        check("Cargo.toml", "[dependencies]\nengine.workspace = true\n", &[]);
        check("crates/fs/src/Cargo.toml.rs", "", &[]);
    }

    #[test]
    fn what_is_not_drawn_is_found_in_each_spelling() {
        let expected = ["crates/fs/Cargo.toml: fs may not use engine"];
        for text in [
            "[dependencies]\nengine.workspace = true",
            "[dependencies]\nlanesync-engine = \"1\"",
            "[dependencies]\nmotor = { path = \"../engine\", package = \"lanesync-engine\" }",
            "[build-dependencies.engine]\npath = \"../engine\"",
            "[target.'cfg(unix)'.dependencies]\nengine.workspace = true",
            "[dev-dependencies]\nengine.workspace = true",
        ] {
            check("crates/fs/Cargo.toml", text, &expected);
        }
    }

    #[test]
    fn the_file_system_of_the_tests_is_for_tests() {
        let path = "crates/engine/Cargo.toml";
        check(path, "[dev-dependencies]\nlanesync-testfs.path = \"../testfs\"", &[]);
        check(
            path,
            "[dependencies]\nlanesync-testfs.path = \"../testfs\"",
            &["crates/engine/Cargo.toml: engine may not use testfs"],
        );
    }

    #[test]
    fn a_new_crate_needs_arrows() {
        check("crates/moon/Cargo.toml", "", &["crates/moon/Cargo.toml: the crate moon has no"]);
        check("crates/fs/Cargo.toml", "[", &["crates/fs/Cargo.toml: "]);
    }
}
