//! The default partitioner against `partitioner.jsonl`, answers of the real Java class.

use std::path::PathBuf;

use kafka_wire::murmur2::{murmur2, partition_for_key};
use serde_json::Value;

fn vectors() -> PathBuf {
    match std::env::var_os("MILLSTREAM_VECTORS") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors"),
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<u32> = text
        .bytes()
        .filter(|byte| *byte != b'=')
        .map(|byte| {
            ALPHABET
                .iter()
                .position(|digit| *digit == byte)
                .expect("a base64 digit") as u32
        })
        .collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}

#[test]
fn keys_go_to_the_partitions_that_java_chooses() {
    let path = vectors().join("partitioner.jsonl");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut total = 0;
    let mut equal = 0;
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        total += 1;
        let vector: Value = serde_json::from_str(line).unwrap();
        let key = from_base64(vector["key"].as_str().unwrap());
        let partitions = vector["partitions"].as_i64().unwrap() as i32;
        let expect = (
            vector["expect"]["hash"].as_i64().unwrap() as i32,
            vector["expect"]["partition"].as_i64().unwrap() as i32,
        );
        let found = (murmur2(&key), partition_for_key(&key, partitions));
        if found == expect {
            equal += 1;
        } else {
            println!(
                "{}: (hash, partition) is {found:?}, wanted {expect:?}",
                vector["id"]
            );
        }
    }
    // Past the capture of the test runner: the count is to be seen also when all is well.
    let count = format!("vectors partitioner.jsonl: {equal} of {total} equal\n");
    std::io::Write::write_all(&mut std::io::stdout(), count.as_bytes()).unwrap();
    assert!(total > 0, "{} holds no vectors", path.display());
    assert_eq!(equal, total);
}
