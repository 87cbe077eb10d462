//! The workspace as cargo and git describe it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

pub struct Workspace {
    pub root: PathBuf,
    /// Where cargo builds to. What `xtask` fetches and starts goes below it too.
    pub target: PathBuf,
    /// The members, by name.
    pub packages: Vec<Package>,
}

/// A member of the workspace and what it uses of the other members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    /// Its directory, relative to the root of the workspace: `crates/kafka-wire`.
    pub dir: String,
    /// Members that it needs to run or to build.
    pub uses: Vec<String>,
    /// Members that its tests need besides.
    pub tests_use: Vec<String>,
}

impl Workspace {
    pub fn read() -> Result<Self> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .context("could not run cargo")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "`cargo metadata` failed: {complaint}"
        );
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        Self::from_metadata(&metadata)
    }

    fn from_metadata(metadata: &Value) -> Result<Self> {
        let path = |key: &str| -> Result<PathBuf> {
            let text = metadata[key]
                .as_str()
                .with_context(|| format!("cargo metadata has no {key}"))?;
            Ok(PathBuf::from(text))
        };
        let root = path("workspace_root")?;
        let packages = metadata["packages"]
            .as_array()
            .context("cargo metadata has no packages")?;
        let mut packages: Vec<Package> = packages
            .iter()
            .map(|package| package_of(&root, package))
            .collect::<Result<_>>()?;
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            target: path("target_directory")?,
            root,
            packages,
        })
    }

    /// Every file that git knows or would add, relative to the root, in order.
    pub fn files(&self) -> Result<Vec<String>> {
        let output = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(&self.root)
            .output()
            .context("could not run git, which knows the project's files")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "`git ls-files` failed: {complaint}"
        );
        let list = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
        let mut files: Vec<String> = list
            .split('\0')
            // A file that was deleted and not yet committed is still listed.
            .filter(|file| !file.is_empty() && self.root.join(file).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn package_of(root: &Path, package: &Value) -> Result<Package> {
    let name = package["name"].as_str().context("a package has no name")?;
    let manifest = package["manifest_path"]
        .as_str()
        .context("a package has no manifest")?;
    let dir = Path::new(manifest)
        .parent()
        .and_then(|dir| dir.strip_prefix(root).ok());
    let dir = dir
        .and_then(Path::to_str)
        .with_context(|| format!("{manifest} is outside the workspace"))?;
    let (mut uses, mut tests_use) = (Vec::new(), Vec::new());
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        // Only members of the workspace are named by a path.
        if !dependency["path"].is_string() {
            continue;
        }
        let used = dependency["name"]
            .as_str()
            .context("a dependency has no name")?
            .to_owned();
        match dependency["kind"].as_str() {
            Some("dev") => tests_use.push(used),
            _ => uses.push(used),
        }
    }
    Ok(Package {
        name: name.to_owned(),
        dir: dir.to_owned(),
        uses,
        tests_use,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_know_which_members_they_use() {
        let metadata = json!({
            "workspace_root": "/w",
            "target_directory": "/t",
            "packages": [{
                "name": "connector-file",
                "manifest_path": "/w/connectors/file/Cargo.toml",
                "dependencies": [
                    {"name": "bytes", "kind": null},
                    {"name": "connect-api", "kind": null, "path": "/w/crates/connect-api"},
                    {"name": "made", "kind": "build", "path": "/w/crates/made"},
                    {"name": "connect-testkit", "kind": "dev", "path": "/w/crates/connect-testkit"},
                ],
            }],
        });
        let workspace = Workspace::from_metadata(&metadata).expect("well-formed");
        let expected = Package {
            name: "connector-file".into(),
            dir: "connectors/file".into(),
            uses: vec!["connect-api".into(), "made".into()],
            tests_use: vec!["connect-testkit".into()],
        };
        assert_eq!(workspace.packages, [expected]);
        assert_eq!(workspace.target, Path::new("/t"));
    }
}
