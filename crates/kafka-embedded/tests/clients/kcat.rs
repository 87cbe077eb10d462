//! kcat, the command line of librdkafka.

use std::process::Command;

use connect_testkit::kafka::program_or_skip;

use crate::support::{Log, run};

#[test]
fn kcat_writes_lists_and_reads() {
    let Some(kcat) = program_or_skip("kcat", "kcat") else {
        return;
    };
    let log = Log::start();
    let kcat = |arguments: &[&str], input: &str| {
        let mut command = Command::new(&kcat);
        run(command.args(["-b", &log.bootstrap]).args(arguments), input)
    };
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        kcat(
            &["-P", "-t", "words", "-K", ":", "-z", codec],
            &format!("{codec}:a {codec}\n"),
        );
    }
    assert!(kcat(&["-L"], "").contains("topic \"words\" with 1 partitions"));
    let expected = "0 none=a none\n1 gzip=a gzip\n2 snappy=a snappy\n3 lz4=a lz4\n4 zstd=a zstd\n";
    let read = kcat(&["-C", "-t", "words", "-e", "-q", "-f", "%o %k=%s\n"], "");
    assert_eq!(read, expected);
    // As a member of a group: all of it once, and nothing the second time.
    let group = [
        "-G",
        "readers",
        "-X",
        "auto.offset.reset=earliest",
        "-e",
        "-q",
        "-f",
        "%k\n",
        "words",
    ];
    assert_eq!(kcat(&group, ""), "none\ngzip\nsnappy\nlz4\nzstd\n");
    assert_eq!(kcat(&group, ""), "");
    assert_eq!(
        kcat(&["-Q", "-t", "words:0:-1"], "").trim(),
        "words [0] offset 5"
    );
}
