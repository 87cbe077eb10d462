//! What cargo and its tests print, passed on as it comes and kept for the end.

use std::io::{self, BufRead as _, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

use connect_testkit::kafka::SKIPPED;

#[derive(Debug, Default)]
pub struct TestOutput {
    /// What cargo said that it runs now.
    suite: String,
    /// Suite and result line of every suite that has tests.
    results: Vec<(String, String)>,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl TestOutput {
    /// Runs the command to its end, passing on its output line by line.
    pub fn follow(&mut self, mut command: Command, to: &mut impl Write) -> io::Result<ExitStatus> {
        // One pipe for both, as cargo names the suite on one and the suite its result on the other.
        let (reader, writer) = io::pipe()?;
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = command.spawn()?;
        // It holds the writing ends, and with them the reader would wait for ever.
        drop(command);
        let mut reader = BufReader::new(reader);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            to.write_all(&bytes)?;
            self.line(String::from_utf8_lossy(&bytes).trim());
            bytes.clear();
        }
        child.wait()
    }

    /// What comes next is of this suite, which is run without cargo.
    pub fn begins(&mut self, suite: &str) {
        self.suite = suite.to_owned();
    }

    /// The lines that say that a test was skipped.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    fn line(&mut self, line: &str) {
        if let Some(suite) = line
            .strip_prefix("Running ")
            .or_else(|| line.strip_prefix("Doc-tests "))
        {
            self.suite = suite.to_owned();
        } else if line.starts_with("test result: ") {
            if !line.contains(" 0 passed; 0 failed; ") {
                self.results.push((self.suite.clone(), line.to_owned()));
            }
        } else if line.starts_with("test ") && line.ends_with(" FAILED") {
            self.failed.push(line.to_owned());
        } else if let Some(at) = line.find(SKIPPED) {
            self.skipped.push(line[at..].to_owned());
        }
    }

    /// Everything worth repeating: skipped tests, failed tests, and the result of every suite.
    pub fn summary(&self) -> String {
        let told = self
            .skipped
            .iter()
            .chain(&self.failed)
            .map(|line| format!("{line}\n"));
        let results = self
            .results
            .iter()
            .map(|(suite, result)| format!("{suite}\n    {result}\n"));
        told.chain(results).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
     Running unittests src/lib.rs (target/debug/deps/a-1)
running 2 tests
test x ... ok
SKIPPED (needs KAFKA_BOOTSTRAP): y
test y ... SKIPPED (needs KAFKA_BOOTSTRAP): y
test z ... FAILED
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running unittests src/lib.rs (target/debug/deps/b-1)
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests c
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn the_summary_repeats_what_matters() {
        let mut output = TestOutput::default();
        for line in OUTPUT.lines() {
            output.line(line.trim());
        }
        let expected = "\
SKIPPED (needs KAFKA_BOOTSTRAP): y
SKIPPED (needs KAFKA_BOOTSTRAP): y
test z ... FAILED
unittests src/lib.rs (target/debug/deps/a-1)
    test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
c
    test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        assert_eq!(output.summary(), expected);
    }

    #[test]
    fn both_streams_and_the_status_arrive() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo 'test a ... FAILED'; echo 'SKIPPED (needs B): c' >&2; exit 3",
        ]);
        let (mut output, mut passed_on) = (TestOutput::default(), Vec::new());
        let status = output.follow(command, &mut passed_on).expect("sh runs");
        assert_eq!(status.code(), Some(3));
        assert_eq!(passed_on.iter().filter(|&&byte| byte == b'\n').count(), 2);
        assert_eq!((output.failed.len(), output.skipped.len()), (1, 1));
    }
}
