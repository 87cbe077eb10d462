//! `String.valueOf` of every kind of value, against Java's answers.

use connect_api::data::java_text;
use connect_testkit::envelope::read_data;
use connect_testkit::vectors::{Answer, Report, lines};

#[test]
fn values_print_as_in_java() {
    let mut report = Report::new("tostring.jsonl");
    for line in lines("tostring.jsonl") {
        let answer = match read_data(line.get("tostring").expect("what to print")) {
            Ok(data) => Answer::Text(Some(java_text(&data.value).to_string())),
            Err(cause) => Answer::Unreadable(cause.into()),
        };
        report.check(&line, &answer);
    }
    report.finish();
}
