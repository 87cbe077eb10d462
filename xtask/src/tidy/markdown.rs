//! Links between the project's pages.
//!
//! Never here: the network. A link to elsewhere is not followed.

use std::collections::{BTreeSet, HashMap};

use super::Finding;

/// Relative links of one page that lead nowhere. `known` are all files of the project, and
/// `text_of` gives the text of a file.
pub fn links<'a>(
    file: &str,
    text: &str,
    known: &BTreeSet<&str>,
    text_of: &dyn Fn(&str) -> Option<&'a str>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, target) in targets(text) {
        let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let Some(page) = (if path.is_empty() {
            Some(file.to_owned())
        } else {
            resolve(file, path)
        }) else {
            findings.push(Finding::at(
                file,
                line,
                format!("link `{target}` leads out of the project"),
            ));
            continue;
        };
        let is_dir = known
            .iter()
            .any(|file| page.is_empty() || file.starts_with(&format!("{page}/")));
        if !known.contains(page.as_str()) && !is_dir {
            findings.push(Finding::at(
                file,
                line,
                format!("link `{target}`: there is no file `{page}`"),
            ));
            continue;
        }
        // Other files have anchors of their own kind, such as `#L10`.
        if anchor.is_empty() || !page.ends_with(".md") {
            continue;
        }
        let page_text = if page == file {
            text
        } else {
            text_of(&page).unwrap_or_default()
        };
        if !anchors(page_text).contains(anchor) {
            let why = format!("link `{target}`: no heading of `{page}` has the anchor `{anchor}`");
            findings.push(Finding::at(file, line, why));
        }
    }
    findings
}

/// The relative targets of all links and images, with their lines.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut targets = Vec::new();
    for (line, prose) in prose(text) {
        for (at, _) in prose.match_indices("](") {
            let rest = &prose[at + 2..];
            // Up to the closing parenthesis, a title, or the end of `<…>`.
            let target = match rest.strip_prefix('<') {
                Some(rest) => rest.split('>').next(),
                None => rest.split([')', ' ']).next(),
            };
            targets.extend(target.map(|target| (line, target.to_owned())));
        }
        if let Some((_, definition)) = prose
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "))
        {
            let target = definition.split_whitespace().next();
            targets.extend(target.map(|target| (line, target.trim_matches(['<', '>']).to_owned())));
        }
    }
    targets.retain(|(_, target)| is_relative(target));
    for (_, target) in &mut targets {
        *target = target.replace("%20", " ");
    }
    targets
}

fn is_relative(target: &str) -> bool {
    let scheme = target.split_once(':').is_some_and(|(scheme, _)| {
        scheme
            .chars()
            .all(|c| c.is_alphanumeric() || "+-.".contains(c))
    });
    !target.is_empty() && !scheme && !target.starts_with("//")
}

/// Lines outside fenced code, with inline code blanked, and their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    lines_outside_fences(text).map(|(line, text)| (line, without_inline_code(text)))
}

fn lines_outside_fences(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fence: Option<&str> = None;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let start = line.trim_start();
        let marker = ["```", "~~~"]
            .into_iter()
            .find(|marker| start.starts_with(marker));
        match (fence, marker) {
            (None, Some(marker)) => fence = Some(marker),
            (Some(open), Some(marker)) if open == marker => fence = None,
            (None, None) => return Some((at + 1, line)),
            _ => {}
        }
        None
    })
}

fn without_inline_code(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let ticks = rest[start..].chars().take_while(|&c| c == '`').count();
        let inside = &rest[start + ticks..];
        let Some(length) = inside.find(&rest[start..start + ticks]) else {
            break;
        };
        out.push_str(&rest[..start]);
        rest = &inside[length + ticks..];
    }
    out + rest
}

/// The file that `path` names on a page; `None` when that is above the root.
fn resolve(page: &str, path: &str) -> Option<String> {
    let (base, path) = match path.strip_prefix('/') {
        Some(path) => ("", path),
        None => (page.rsplit_once('/').map_or("", |(dir, _)| dir), path),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchors that GitHub gives to the headings of a page, and those that the page sets itself.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut anchors = BTreeSet::new();
    for (_, line) in lines_outside_fences(text) {
        for attribute in ["id=\"", "name=\""] {
            for (at, _) in line.match_indices(attribute) {
                anchors.extend(
                    line[at + attribute.len()..]
                        .split('"')
                        .next()
                        .map(str::to_owned),
                );
            }
        }
        let hashes = line.chars().take_while(|&c| c == '#').count();
        if !(1..=6).contains(&hashes) || !line[hashes..].starts_with(' ') {
            continue;
        }
        let slug = slug(&line[hashes..]);
        let before = seen.entry(slug.clone()).or_default();
        anchors.insert(if *before == 0 {
            slug
        } else {
            format!("{slug}-{before}")
        });
        *before += 1;
    }
    anchors
}

fn slug(heading: &str) -> String {
    let mut text = String::new();
    let mut rest = heading.trim().trim_end_matches('#').trim_end();
    // Of a link, only its words count.
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text.chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str =
        "# Other page\n## Same\n## Same\n## `code`, and [a link](x.md)!\n<a id=\"own\"></a>\n";

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let known = BTreeSet::from([
            "docs/page.md",
            "docs/other.md",
            "docs/in/deep.rs",
            "LICENSE",
        ]);
        let text_of = |file: &str| (file == "docs/other.md").then_some(OTHER);
        let told: Vec<String> = links("docs/page.md", text, &known, &text_of)
            .iter()
            .map(Finding::to_string)
            .collect();
        let expected: Vec<String> = expected
            .iter()
            .map(|row| format!("docs/page.md:{row}"))
            .collect();
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn links_lead_to_files() {
        check(
            "[a](other.md) ![b](../LICENSE) [c](in/deep.rs#L3) [d](in) [e](/LICENSE \"title\") [f](./other.md)",
            &[],
        );
        check("[a](<other.md>)\n[b]: other.md\n[c](..)", &[]);
        check(
            "x\n[a](gone.md)",
            &["2: link `gone.md`: there is no file `docs/gone.md`"],
        );
        check(
            "[a]: gone.md",
            &["1: link `gone.md`: there is no file `docs/gone.md`"],
        );
        check(
            "[a](../../x)",
            &["1: link `../../x` leads out of the project"],
        );
    }

    #[test]
    fn links_lead_to_headings() {
        check(
            "# Here\n[a](#here) [b](other.md#same) [c](other.md#same-1) [d](other.md#own)",
            &[],
        );
        check("[a](other.md#code-and-a-link)", &[]);
        check(
            "[a](#gone)",
            &["1: link `#gone`: no heading of `docs/page.md` has the anchor `gone`"],
        );
        check(
            "[a](other.md#same-2)",
            &["1: link `other.md#same-2`: no heading of `docs/other.md` has the anchor `same-2`"],
        );
    }

    #[test]
    fn what_is_no_relative_link() {
        check(
            "[a](https://example.com/x.md) [b](mailto:x@example.com)",
            &[],
        );
        check("`[a](gone.md)` ``[b](`gone.md)``", &[]);
        check(
            "```\n[a](gone.md)\n# Not a heading\n```\n~~~\n[a](gone.md)\n~~~",
            &[],
        );
    }
}
