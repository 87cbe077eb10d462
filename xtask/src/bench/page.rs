//! `BENCHMARKS.md`: the part between the marks is ours, and the rest is what people wrote.
//!
//! Lives here: putting figures into the page, all of them or those rows that were measured again.
//! Lives elsewhere: the tables (`report`, `log_page`).

const BEGIN: &str = "<!-- cargo xtask bench: begin -->";
const END: &str = "<!-- cargo xtask bench: end -->";

const PAGE: &str = "\
# Benchmarks

What Millstream costs next to Apache Kafka Connect: CPU-seconds of the worker process per million records, on the
same machine, with the same broker, topics, files and configuration files. `cargo xtask bench --help` says how it is
measured. The part below is written by that command.

";

/// A cell without a figure.
pub const NO_FIGURE: &str = "–";

/// The page with `part` in the place of the part before it. Text around that stays.
pub fn page_with(page: Option<&str>, part: &str) -> String {
    let part = format!("{BEGIN}\n\n{part}\n{END}\n");
    let Some(page) = page else {
        return format!("{PAGE}{part}");
    };
    let around = page.split_once(BEGIN).and_then(|(before, rest)| {
        Some((before, rest.split_once(END)?.1.trim_start_matches('\n')))
    });
    match around {
        Some((before, "")) => format!("{before}{part}"),
        Some((before, after)) => format!("{before}{part}\n{after}"),
        None => format!("{}\n\n{part}", page.trim_end()),
    }
}

/// The page with the rows of `part` in the places of those of the same name, and with `note` below the facts of
/// the run that measured the others. A row stays when it has more figures than the new one: then a partner was
/// not measured. A table with other columns, or that was not there, is taken as it is.
pub fn page_with_rows(page: &str, part: &str, note: &str) -> String {
    let before = page
        .split_once(BEGIN)
        .and_then(|(_, rest)| Some(rest.split_once(END)?.0.trim()));
    let Some(before) = before else {
        return page_with(Some(page), part);
    };
    let mut sections = sections(before);
    if let Some(facts) = sections.first_mut() {
        let kept: Vec<&str> = facts.lines().filter(|line| *line != note).collect();
        *facts = format!("{}\n{note}", kept.join("\n").trim_end());
    }
    for new in self::sections(part).into_iter().skip(1) {
        match sections
            .iter_mut()
            .find(|old| heading(old) == heading(&new))
        {
            Some(old) => *old = section_with_rows(old, &new),
            None => sections.push(new),
        }
    }
    page_with(Some(page), &format!("{}\n", sections.join("\n\n")))
}

/// What stands before the first heading, and each heading with what follows it.
fn sections(part: &str) -> Vec<String> {
    let mut sections = vec![String::new()];
    for line in part.lines() {
        if line.starts_with("### ") {
            sections.push(String::new());
        }
        let section = sections.last_mut().expect("it begins with one");
        section.push_str(line);
        section.push('\n');
    }
    for section in &mut sections {
        *section = section.trim().to_owned();
    }
    sections
}

fn heading(section: &str) -> Option<&str> {
    section.lines().next()
}

fn section_with_rows(old: &str, new: &str) -> String {
    let (old_rows, new_rows) = (rows(old), rows(new));
    if old_rows.first() != new_rows.first() {
        return new.to_owned();
    }
    let mut all = old_rows;
    for row in new_rows.into_iter().skip(2) {
        match all.iter_mut().find(|known| name(known) == name(row)) {
            Some(known) if figures(known) > figures(row) => (),
            Some(known) => *known = row,
            None => all.push(row),
        }
    }
    let intro: Vec<&str> = new.lines().filter(|line| !line.starts_with('|')).collect();
    format!("{}\n\n{}", intro.join("\n").trim(), all.join("\n"))
}

fn rows(section: &str) -> Vec<&str> {
    section
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect()
}

fn name(row: &str) -> Option<&str> {
    row.split('|').nth(1).map(str::trim)
}

fn figures(row: &str) -> usize {
    row.split('|')
        .filter(|cell| cell.trim() != NO_FIGURE)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_keeps_what_others_wrote() {
        let first = page_with(None, "one");
        assert_eq!(first, format!("{PAGE}{BEGIN}\n\none\n{END}\n"));
        assert_eq!(
            page_with(Some(&first), "two"),
            format!("{PAGE}{BEGIN}\n\ntwo\n{END}\n")
        );
        let more = format!("{first}\nMore.\n");
        assert_eq!(
            page_with(Some(&more), "two"),
            format!("{PAGE}{BEGIN}\n\ntwo\n{END}\n\nMore.\n")
        );
        assert_eq!(
            page_with(Some("Hand-written.\n"), "two"),
            format!("Hand-written.\n\n{BEGIN}\n\ntwo\n{END}\n")
        );
    }

    #[test]
    fn rows_that_were_measured_again_take_the_place_of_their_own() {
        let old = page_with(
            None,
            "- Date: 1\n\n### A\n\nOf A.\n\n|  | x | y |\n|---|---:|---:|\n| a | 1 | 2 |\n| b | 3 | 4 |\n\n### B\n\n|  | z |\n|---|---:|\n| c | 5 |\n",
        );
        let new = "- Date: 2\n\n### A\n\nOf A, again.\n\n|  | x | y |\n|---|---:|---:|\n| b | 9 | 9 |\n| a | – | 8 |\n| d | 7 | 7 |\n\n### C\n\n|  | z |\n|---|---:|\n| e | 6 |\n";
        let expected = page_with(
            None,
            "- Date: 1\n- Again: 2\n\n### A\n\nOf A, again.\n\n|  | x | y |\n|---|---:|---:|\n| a | 1 | 2 |\n| b | 9 | 9 |\n| d | 7 | 7 |\n\n### B\n\n|  | z |\n|---|---:|\n| c | 5 |\n\n### C\n\n|  | z |\n|---|---:|\n| e | 6 |\n",
        );
        let found = page_with_rows(&old, new, "- Again: 2");
        assert_eq!(found, expected);
        assert_eq!(page_with_rows(&found, new, "- Again: 2"), expected);
    }

    #[test]
    fn a_table_with_other_columns_is_taken_as_it_is() {
        let old = page_with(None, "- f\n\n### A\n\n|  | x |\n|---|---:|\n| a | 1 |\n");
        let new = "- g\n\n### A\n\n|  | y |\n|---|---:|\n| b | 2 |\n";
        let found = page_with_rows(&old, new, "- n");
        assert!(found.contains("| b | 2 |") && !found.contains("| a | 1 |"));
    }
}
