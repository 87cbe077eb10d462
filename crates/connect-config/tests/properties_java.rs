//! `.properties` texts beside what `java.util.Properties.load` of Java 17 answered to them.
//!
//! `data/properties.jsonl` has one text a line: the cases somebody thought of first, then random texts
//! over the characters that mean something. `text` is ISO-8859-1, `expect` the map, `error` the message.

use connect_config::Properties;
use serde_json::Value;

#[test]
fn properties_are_read_as_java_reads_them() {
    let mut rows = 0;
    for line in include_str!("data/properties.jsonl").lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = row["text"].as_str().unwrap();
        let bytes: Vec<u8> = text
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect();
        for (how, actual) in [
            ("bytes", Properties::from_bytes(&bytes)),
            ("text", Properties::from_text(text)),
        ] {
            let actual = match &actual {
                Ok(props) => Ok(props
                    .iter()
                    .map(|(key, value)| (key, value.unwrap()))
                    .collect::<Vec<_>>()),
                Err(error) => Err(error.to_string()),
            };
            let expected = match row["expect"].as_object() {
                Some(map) => {
                    let mut pairs: Vec<_> = map
                        .iter()
                        .map(|(key, value)| (key.as_str(), value.as_str().unwrap()))
                        .collect();
                    pairs.sort_unstable();
                    Ok(pairs)
                }
                None => Err(row["error"].as_str().unwrap().to_owned()),
            };
            assert_eq!(actual, expected, "from {how}: {text:?}");
        }
        rows += 1;
    }
    assert!(rows > 500, "only {rows} rows");
}

#[test]
fn text_keeps_what_is_beyond_latin_1() {
    let props = Properties::from_text("schlüssel=値 \u{1F600}").unwrap();
    assert_eq!(props.get("schlüssel"), Some("値 \u{1F600}"));
    let props = Properties::from_bytes("k=ü".as_bytes()).unwrap();
    assert_eq!(props.get("k"), Some("Ã¼"));
}

/// Java would keep half a pair; no Rust string can.
#[test]
fn a_lone_surrogate_becomes_the_replacement_character() {
    let props = Properties::from_bytes(br"k=a\uD83Db").unwrap();
    assert_eq!(props.get("k"), Some("a\u{FFFD}b"));
}
