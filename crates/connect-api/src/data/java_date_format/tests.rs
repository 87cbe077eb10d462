//! What Java 17 answers, as tables.

use super::JavaDateFormat;

/// 2026-01-01, from which two-digit years are counted.
const NOW_MS: i64 = 1_767_225_600_000;

fn format(pattern: &str) -> JavaDateFormat {
    JavaDateFormat::new(pattern, NOW_MS).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

#[test]
fn instants_print_as_in_java() {
    let rows = [
        (
            "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            1_709_210_096_789,
            "2024-02-29T12:34:56.789Z",
        ),
        (
            "EEE, dd MMM yyyy HH:mm:ss z",
            -62_135_596_800_001,
            "Sun, 02 Jan 0001 23:59:59 UTC",
        ),
        ("yy y yyyyy", 0, "70 1970 01970"),
        ("YYYY-'W'ww-u", 1_704_067_199_999, "2024-W01-7"),
        ("h:mm a K k", 0, "12:00 AM 0 24"),
        ("SSSSSS", 7, "000007"),
        ("''yyyy''", 0, "'1970'"),
        ("yyyy-MM-dd G", -100_000_000_000_000, "1200-02-26 BC"),
        ("yyyy-MM-dd", 253_402_300_800_000, "10000-01-01"),
        ("yyyy-MM-dd HH:mm", -62_198_755_200_000, "0002-01-03 00:00"),
        ("yyyyMMddHHmmssSSS", 1_709_210_096_789, "20240229123456789"),
        ("D F W", 1_583_020_799_999, "60 5 5"),
    ];
    for (pattern, ms, text) in rows {
        assert_eq!(format(pattern).format(ms), text, "{pattern}");
    }
}

#[test]
fn texts_are_read_as_in_java() {
    let rows = [
        ("yyyy-MM-dd", "2024-02-29 and more", Some(1_709_164_800_000)),
        ("yyyy-MM-dd", "2024-2-30", Some(1_709_251_200_000)),
        ("yyyy-MM-dd", "2024/02/29", None),
        ("yyyyMMddHHmmss", "20240229123456", Some(1_709_210_096_000)),
        ("yy-MM-dd", "45-01-01", Some(2_366_841_600_000)),
        ("yy-MM-dd", "46-01-01", Some(-757_382_400_000)),
        (
            "yyyy-MM-dd HH:mm z",
            "2024-07-29 12:34 PDT",
            Some(1_722_281_640_000),
        ),
        (
            "yyyy-MM-dd HH:mm z",
            "2024-07-29 12:34 GMT-3:30",
            Some(1_722_269_040_000),
        ),
        ("dd MMMM yyyy", "29 FEBRUARY 2024", Some(1_709_164_800_000)),
        ("YYYY-'W'ww-u", "2021-W01-1", Some(1_609_113_600_000)),
        ("yyyy MM W u", "2024 02 5 4", Some(1_709_164_800_000)),
        ("yyyy-DDD", "2024-060", Some(1_709_164_800_000)),
        ("hh:mm a", "12:30 AM", Some(1_800_000)),
        ("hh:mm a", "12:30 pm", Some(45_000_000)),
    ];
    for (pattern, text, ms) in rows {
        assert_eq!(format(pattern).parse(text), ms, "{pattern}: {text}");
    }
}

#[test]
fn bad_patterns_say_what_java_says() {
    let rows = [
        ("bad", "Illegal pattern character 'b'"),
        ("'open", "Unterminated quote"),
        ("XXXX", "invalid ISO 8601 format: length=4"),
    ];
    for (pattern, message) in rows {
        let error = JavaDateFormat::new(pattern, NOW_MS).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
