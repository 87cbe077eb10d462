//! The machine and the versions that figures belong to. No host name and no path: figures are published.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::worker::Program;

/// Lines for people, in order.
pub fn facts(root: &Path, kafka_version: &str, millstream: Option<&Program>) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let kib: u64 = field("/proc/meminfo", "MemTotal")
        .and_then(|total| total.strip_suffix("kB")?.trim().parse().ok())
        .unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut facts = vec![
        format!(
            "Machine: {cores} cores of {model}, {} GiB of memory, Linux {}; broker and worker share it",
            (kib + (1 << 19)) >> 20,
            kernel.trim()
        ),
        format!(
            "Apache Kafka and Kafka Connect {kafka_version} on {}",
            first_line("java", &["-version"])
                .replace("version ", "")
                .replace('"', "")
        ),
    ];
    if let Some(Program::Millstream { file }) = millstream {
        let version = first_line(&file.display().to_string(), &["--version"]);
        let commit = Command::new("git")
            .args(["describe", "--always", "--dirty"])
            .current_dir(root)
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .unwrap_or_default();
        facts.push(format!(
            "{version} (commit {commit}), {}",
            first_line("rustc", &["--version"])
        ));
    }
    facts.push(format!(
        "Date: {}",
        first_line("date", &["-u", "+%Y-%m-%d"])
    ));
    facts
}

/// The value of the first line `name : value`.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What a program prints first, on either output.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        return format!("{program}: unknown version");
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().trim().to_owned()
}
