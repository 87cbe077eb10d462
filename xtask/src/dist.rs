//! `cargo xtask dist`: the program as users get it, one file that needs nothing of the machine.
//!
//! Lives here: the build, and the proof that it is static and runs.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::Verdict;
use crate::workspace::{Workspace, cargo};

pub const HELP: &str = "\
cargo xtask dist: builds target/dist/millstream, one static binary

It is linked with the C library, so that it runs on any Linux of this processor, whatever C library is there
or none. Names are looked up in /etc/hosts and by DNS. Needs the C library's archive: apt-get install libc6-dev
";

pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<Verdict> {
    if let Some(other) = arguments.first() {
        bail!("dist: did not understand `{other}`\n\n{HELP}");
    }
    let target = host()?;
    // With a target named, the flags do not reach build scripts and macros, which cannot be static.
    let status = cargo()
        .args([
            "build",
            "--release",
            "--package",
            "millstream",
            "--target",
            &target,
        ])
        .env(
            "RUSTFLAGS",
            "-C target-feature=+crt-static -C strip=symbols",
        )
        .current_dir(&workspace.root)
        .status()?;
    ensure!(status.success(), "cargo ended with {status}");
    let built = workspace.target.join(&target).join("release/millstream");
    let dist = workspace.target.join("dist");
    fs::create_dir_all(&dist)?;
    let program = dist.join("millstream");
    fs::copy(&built, &program).with_context(|| format!("could not copy {}", built.display()))?;
    let bytes = fs::read(&program)?;
    ensure!(
        !names_an_interpreter(&bytes),
        "{} still asks for a dynamic linker",
        program.display()
    );
    let version = Command::new(&program).arg("--version").output()?;
    ensure!(version.status.success(), "it does not run: {version:?}");
    println!(
        "{}: {}, {:.1} MiB, static",
        program.display(),
        String::from_utf8_lossy(&version.stdout).trim(),
        bytes.len() as f64 / (1024.0 * 1024.0)
    );
    Ok(Verdict::Good)
}

/// The target that this compiler builds for by itself.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// Whether an ELF file has a program header of the type INTERP: then the kernel starts the dynamic linker first.
fn names_an_interpreter(elf: &[u8]) -> bool {
    const INTERP: u32 = 3;
    let number = |at: usize, size: usize| {
        let bytes = elf.get(at..at + size)?;
        let digits = bytes.iter().rev();
        Some(digits.fold(0u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let headers = || {
        let (offset, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
        let types = (0..count).map(|i| number((offset + i * size) as usize, 4));
        types.collect::<Option<Vec<u64>>>()
    };
    headers().is_none_or(|types| types.contains(&u64::from(INTERP)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_is_seen() -> Result<()> {
        // This test is linked dynamically, as cargo does by itself.
        let own = fs::read(std::env::current_exe()?)?;
        assert!(names_an_interpreter(&own));
        assert!(names_an_interpreter(b"no ELF"));
        let mut elf = vec![0; 0x40 + 56];
        (elf[0x20], elf[0x36], elf[0x38], elf[0x40]) = (0x40, 56, 1, 1);
        assert!(!names_an_interpreter(&elf));
        elf[0x40] = 3;
        assert!(names_an_interpreter(&elf));
        Ok(())
    }
}
