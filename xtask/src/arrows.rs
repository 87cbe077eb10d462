//! Which crate may use which, and inside a crate which module which: the design as a table.
//!
//! Lives here: the two tables and the check of the workspace against them.
//! Lives elsewhere: why the arrows point this way (`ARCHITECTURE.md`).
//! Never here: an exception for one file. An arrow is right for all, or it is not right.

use std::fs;

use anyhow::Result;

use crate::Verdict;
use crate::rust_source::{Role, Roles, RustSource};
use crate::workspace::{Package, Workspace};

pub const HELP: &str = "\
cargo xtask arrows: crates and modules use only what the design lets them use

The tables are CRATES and MODULES in xtask/src/arrows.rs. A new crate adds a row there.
A connector sees connect-api, connect-config and the connector libraries. Tests may use
connect-testkit besides what their crate may use; nothing that ships may.
";

/// A crate and the crates of this workspace that it may use. Lower floors first.
const CRATES: &[(&str, &[&str])] = &[
    ("connect-config", &[]),
    ("connect-api", &["connect-config"]),
    ("connect-converters", &["connect-api", "connect-config"]),
    (
        "connect-config-providers",
        &["connect-api", "connect-config"],
    ),
    ("connect-transforms", &["connect-api", "connect-config"]),
    // Its errors and records are JSON for people: commands and tests use it, never the record path.
    ("connect-envelope", &["connect-api"]),
    ("kafka-wire", &[]),
    ("kafka-client", &["kafka-wire"]),
    ("kafka-embedded", &["kafka-wire"]),
    (
        "connect-backing-store",
        &["connect-api", "connect-config", "kafka-client"],
    ),
    (
        "connect-worker",
        &[
            "connect-api",
            "connect-backing-store",
            "connect-config",
            "connect-converters",
            "kafka-client",
        ],
    ),
    // And every connector: the binary is the only place that lists them.
    (
        "millstream",
        &[
            "connect-api",
            "connect-backing-store",
            "connect-config",
            "connect-config-providers",
            "connect-converters",
            "connect-envelope",
            "connect-transforms",
            "connect-worker",
            "kafka-client",
            "kafka-embedded",
        ],
    ),
    // kafka-wire: the checks of a broker send batches, sound and spoilt ones. kafka-client and
    // kafka-embedded: the cluster under a seed.
    (
        TESTKIT,
        &[
            "connect-api",
            "connect-config",
            "connect-envelope",
            "kafka-client",
            "kafka-embedded",
            "kafka-wire",
        ],
    ),
    ("xtask", &[TESTKIT]),
];

/// What a connector may use.
const CONNECTORS: &[&str] = &["connect-api", "connect-config"];

/// What tests may use besides.
const TESTKIT: &str = "connect-testkit";

/// The crate that may use every connector.
const COMPOSER: &str = "millstream";

/// The modules of one crate, and for each the modules of that crate that it may use.
type ModuleRows = &'static [(&'static str, &'static [&'static str])];

/// A crate, and the arrows between the modules at the top of its `src`. Tests are free.
const MODULES: &[(&str, ModuleRows)] = &[
    (
        "kafka-client",
        &[
            ("error", &[]),
            ("settings", &["error"]),
            ("dial", &["error", "settings"]),
            ("connection", &["dial", "error", "settings"]),
            ("metadata", &["error", "settings"]),
            ("offset", &[]),
            (
                "client",
                &["connection", "dial", "error", "metadata", "settings"],
            ),
            (
                "group",
                &["client", "connection", "error", "metadata", "settings"],
            ),
            // A transaction commits the offsets of a group.
            (
                "producer",
                &[
                    "client",
                    "connection",
                    "error",
                    "group",
                    "metadata",
                    "settings",
                ],
            ),
            (
                "consumer",
                &[
                    "client",
                    "connection",
                    "error",
                    "group",
                    "metadata",
                    "offset",
                    "settings",
                ],
            ),
            // Who opens an `Admin` says how brokers are reached.
            (
                "admin",
                &[
                    "client",
                    "connection",
                    "dial",
                    "error",
                    "metadata",
                    "offset",
                    "settings",
                ],
            ),
        ],
    ),
    (
        "kafka-embedded",
        &[
            ("config", &[]),
            ("request", &[]),
            // Decisions: no clock, no lock, no disk.
            ("group", &[]),
            ("transaction", &["group"]),
            // The disk.
            ("journal", &[]),
            ("log", &[]),
            (
                "broker",
                &["config", "group", "journal", "log", "transaction"],
            ),
            (
                "api",
                &["broker", "config", "group", "log", "request", "transaction"],
            ),
            ("server", &["api", "broker"]),
            ("handle", &["api", "broker", "config", "server"]),
        ],
    ),
];

pub fn run(workspace: &Workspace) -> Result<Verdict> {
    let mut refused = refused_crates(&workspace.packages, CRATES);
    for (krate, rows) in MODULES {
        match workspace
            .packages
            .iter()
            .find(|package| package.name == *krate)
        {
            Some(package) => refused.extend(refused_in_crate(workspace, package, rows)?),
            None => refused.push(format!(
                "MODULES names {krate}, which is not in the workspace: remove it"
            )),
        }
    }
    if refused.is_empty() {
        println!(
            "arrows: {} crates, all as declared",
            workspace.packages.len()
        );
        return Ok(Verdict::Good);
    }
    for arrow in &refused {
        println!("{arrow}");
    }
    println!("arrows: {} refused", refused.len());
    Ok(Verdict::Bad)
}

/// One sentence for each arrow between crates that is not declared.
fn refused_crates(packages: &[Package], rows: &[(&str, &[&str])]) -> Vec<String> {
    let mut refused = Vec::new();
    for package in packages {
        let connector = is_connector(package);
        let row = rows.iter().find(|(krate, _)| *krate == package.name);
        let allowed = match row {
            Some((_, allowed)) => *allowed,
            None if connector => CONNECTORS,
            None => {
                refused.push(format!(
                    "{}: this crate is not in CRATES of xtask/src/arrows.rs; add a row with the crates it may use",
                    package.name
                ));
                continue;
            }
        };
        let may_use = |used: &String| {
            allowed.contains(&used.as_str())
                || package.name == COMPOSER
                    && packages
                        .iter()
                        .any(|other| other.name == *used && is_connector(other))
        };
        for used in package.uses.iter().filter(|used| !may_use(used)) {
            refused.push(refusal(package, used, allowed));
        }
        for used in package
            .tests_use
            .iter()
            .filter(|used| !may_use(used) && *used != TESTKIT)
        {
            refused.push(format!(
                "{} (in its tests)",
                refusal(package, used, allowed)
            ));
        }
    }
    for (krate, _) in rows {
        if !packages.iter().any(|package| package.name == *krate) {
            refused.push(format!(
                "CRATES has a row for {krate}, which is not in the workspace: remove it"
            ));
        }
    }
    refused
}

fn is_connector(package: &Package) -> bool {
    package.dir.starts_with("connectors/")
}

/// Which arrow, why not, and what to do.
fn refusal(package: &Package, used: &str, allowed: &[&str]) -> String {
    let Package { name, dir, .. } = package;
    let (why, instead) = if used == TESTKIT {
        (
            "it is for tests".to_owned(),
            "move the line to [dev-dependencies]".to_owned(),
        )
    } else if is_connector(package) {
        (
            format!("a connector sees only {}", listed(allowed)),
            "take what it needs through a trait of connect-api, or move the code to a connector library".to_owned(),
        )
    } else {
        (
            format!("{name} may use {}", listed(allowed)),
            format!(
                "let {name} own a trait that the upper crate implements, or move the code; \
                 if the design has changed, change the row in xtask/src/arrows.rs and ARCHITECTURE.md"
            ),
        )
    };
    format!("{dir}/Cargo.toml: {name} -> {used} is refused: {why}; {instead}")
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "no other crate of the workspace".to_owned(),
        names => names.join(", "),
    }
}

/// One sentence for each arrow between modules of a crate that is not declared.
fn refused_in_crate(
    workspace: &Workspace,
    package: &Package,
    rows: ModuleRows,
) -> Result<Vec<String>> {
    let src = format!("{}/src/", package.dir);
    let mut texts = Vec::new();
    for file in workspace.files()? {
        if file.starts_with(&src) && file.ends_with(".rs") {
            let text = fs::read_to_string(workspace.root.join(&file))?;
            texts.push((file, text));
        }
    }
    let roles = Roles::among(
        texts
            .iter()
            .map(|(file, text)| (file.as_str(), text.as_str())),
    );
    let shipping = texts
        .iter()
        .filter(|(file, _)| roles.of(file) == Role::Ships);
    Ok(shipping
        .flat_map(|(file, text)| refused_modules(file, &file[src.len()..], text, rows))
        .collect())
}

/// The same for one file that ships. `inside` is its path below `src`.
fn refused_modules(file: &str, inside: &str, text: &str, rows: ModuleRows) -> Vec<String> {
    let (module, at_top) = match inside.split_once('/') {
        Some((module, rest)) => (module, rest == "mod.rs"),
        None => (inside.trim_end_matches(".rs"), true),
    };
    if matches!(module, "lib" | "main" | "bin") {
        return Vec::new();
    }
    let Some((_, allowed)) = rows.iter().find(|(name, _)| *name == module) else {
        return vec![format!(
            "{file}: module {module} is not in MODULES of xtask/src/arrows.rs; add a row with the modules it may use"
        )];
    };
    let shipped = RustSource::read(Role::Ships, text).shipped;
    let mut used = modules_after("crate::", &shipped);
    if at_top {
        used.extend(modules_after("super::", &shipped));
    }
    let is_module = |name: &str| rows.iter().any(|(known, _)| *known == name);
    used.into_iter()
        .filter(|(_, name)| is_module(name) && name != module && !allowed.contains(&name.as_str()))
        .map(|(line, name)| {
            let allowed = match allowed {
                [] => "no other module".to_owned(),
                allowed => allowed.join(", "),
            };
            format!(
                "{file}:{line}: {module} -> {name} is refused: {module} may use {allowed}; pass it in, or move \
                 the code; if the design has changed, change the row in xtask/src/arrows.rs"
            )
        })
        .collect()
}

/// The first path segment behind every `prefix`, with its line: `crate::a::b` and
/// `crate::{a::b, c}` give `a`, and `a` and `c`.
fn modules_after(prefix: &str, code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group).map(|name| (line, name))),
            None => found.push((line, identifier(rest))),
        }
    }
    found.retain(|(_, name)| !name.is_empty());
    found
}

/// The first segments of the paths of a `{…}` group, whose opening brace is cut off.
fn group_heads(group: &str) -> impl Iterator<Item = String> {
    let mut depth = 1;
    let mut heads = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(String::new()),
            c => {
                if let Some(head) = heads.last_mut() {
                    head.push(c);
                }
            }
        }
        if depth == 0 {
            break;
        }
    }
    heads.into_iter().map(|head| identifier(head.trim_start()))
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dir: &str, uses: &[&str], tests_use: &[&str]) -> Package {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Package {
            name: name.into(),
            dir: dir.into(),
            uses: owned(uses),
            tests_use: owned(tests_use),
        }
    }

    /// A workspace with one member besides two rooms, a connector and the binary.
    #[track_caller]
    fn check_crate(member: Package, expected: &[&str]) {
        let rows: &[(&str, &[&str])] = &[
            ("connect-config", &[]),
            ("connect-api", &["connect-config"]),
            ("millstream", &["connect-api"]),
            (TESTKIT, &["connect-api"]),
        ];
        let mut packages = vec![
            package("connect-config", "crates/connect-config", &[], &[]),
            package(
                "connect-api",
                "crates/connect-api",
                &["connect-config"],
                &[],
            ),
            package(
                "connector-file",
                "connectors/file",
                &["connect-api", "connect-config"],
                &[],
            ),
            package(
                "millstream",
                "crates/millstream",
                &["connect-api", "connector-file"],
                &[],
            ),
            package(TESTKIT, "crates/connect-testkit", &["connect-api"], &[]),
        ];
        packages.retain(|package| package.name != member.name);
        packages.push(member);
        let refused = refused_crates(&packages, rows);
        assert_eq!(refused.len(), expected.len(), "{refused:?}");
        for (refused, expected) in refused.iter().zip(expected) {
            assert!(
                refused.contains(expected),
                "{refused}\ndoes not contain\n{expected}"
            );
        }
    }

    #[test]
    fn declared_arrows_pass() {
        check_crate(
            package(
                "connector-redis",
                "connectors/redis",
                &["connect-api"],
                &[TESTKIT],
            ),
            &[],
        );
    }

    #[test]
    fn an_arrow_upward_is_refused() {
        check_crate(
            package(
                "connect-config",
                "crates/connect-config",
                &["connect-api"],
                &[],
            ),
            &[
                "crates/connect-config/Cargo.toml: connect-config -> connect-api is refused: connect-config may use \
               no other crate of the workspace; let connect-config own a trait",
            ],
        );
    }

    #[test]
    fn a_connector_sees_the_interface_only() {
        check_crate(
            package(
                "connector-redis",
                "connectors/redis",
                &["connector-file"],
                &[],
            ),
            &[
                "connector-redis -> connector-file is refused: a connector sees only connect-api, connect-config;",
            ],
        );
    }

    #[test]
    fn only_the_binary_lists_connectors() {
        check_crate(
            package(
                "connect-api",
                "crates/connect-api",
                &["connector-file"],
                &[],
            ),
            &["connect-api -> connector-file is refused"],
        );
    }

    #[test]
    fn the_testkit_is_for_tests() {
        check_crate(
            package("connect-api", "crates/connect-api", &[TESTKIT], &[]),
            &["it is for tests; move the line to [dev-dependencies]"],
        );
        check_crate(
            package("connect-api", "crates/connect-api", &[], &[TESTKIT]),
            &[],
        );
        check_crate(
            package("connect-api", "crates/connect-api", &[], &["millstream"]),
            &["ARCHITECTURE.md (in its tests)"],
        );
    }

    #[test]
    fn a_new_crate_needs_a_row() {
        check_crate(
            package("connect-new", "crates/connect-new", &[], &[]),
            &["connect-new: this crate is not in CRATES"],
        );
    }

    #[test]
    fn a_row_without_a_crate_is_refused() {
        let refused = refused_crates(&[], &[("connect-old", &[])]);
        assert_eq!(
            refused,
            ["CRATES has a row for connect-old, which is not in the workspace: remove it"]
        );
    }

    /// Every row uses only rows above it, so no two crates can need each other.
    #[test]
    fn the_tables_point_one_way() {
        let tables = std::iter::once(("CRATES", CRATES)).chain(MODULES.iter().copied());
        for (table, rows) in tables {
            for (at, (name, allowed)) in rows.iter().enumerate() {
                for used in *allowed {
                    let above = rows[..at].iter().any(|(above, _)| above == used);
                    assert!(above, "{table}: {name} -> {used}, which is not a row above");
                }
            }
        }
    }

    const ROWS: ModuleRows = &[
        ("error", &[]),
        ("client", &["error"]),
        ("producer", &["client", "error"]),
        ("consumer", &["client"]),
    ];

    #[track_caller]
    fn check_modules(inside: &str, text: &str, expected: &[&str]) {
        let refused = refused_modules(inside, inside, text, ROWS);
        let arrows: Vec<&str> = refused
            .iter()
            .map(|line| line.split(" is refused").next().expect("one part"))
            .collect();
        assert_eq!(arrows, expected, "{text}");
    }

    #[test]
    fn modules_use_what_is_declared() {
        check_modules(
            "producer.rs",
            "use crate::client::Client;\nuse crate::error::Error;",
            &[],
        );
        check_modules(
            "producer/batch.rs",
            "use crate::producer::Batch;\nuse crate::Version;",
            &[],
        );
        check_modules("lib.rs", "use crate::producer::Batch;", &[]);
    }

    #[test]
    fn modules_do_not_use_others() {
        check_modules(
            "client.rs",
            "\nuse crate::producer::P;",
            &["client.rs:2: client -> producer"],
        );
        check_modules(
            "client/mod.rs",
            "use crate::{error::E, producer::{P, error}, consumer};",
            &[
                "client/mod.rs:1: client -> producer",
                "client/mod.rs:1: client -> consumer",
            ],
        );
        check_modules(
            "client/a.rs",
            "fn f() { crate::consumer::g() }",
            &["client/a.rs:1: client -> consumer"],
        );
        check_modules(
            "client.rs",
            "use super::producer;",
            &["client.rs:1: client -> producer"],
        );
    }

    #[test]
    fn what_is_no_arrow() {
        check_modules("client.rs", "//! See [`crate::producer`].", &[]);
        check_modules(
            "client.rs",
            "#[cfg(test)]\nmod tests { use crate::producer::P; }",
            &[],
        );
        check_modules("client/a.rs", "use super::producer;", &[]);
        check_modules("client.rs", "use other_crate::producer;", &[]);
    }

    #[test]
    fn a_new_module_needs_a_row() {
        let refused = refused_modules("src/new.rs", "new.rs", "", ROWS);
        assert_eq!(refused.len(), 1);
        assert!(
            refused[0].contains("module new is not in MODULES"),
            "{refused:?}"
        );
    }
}
