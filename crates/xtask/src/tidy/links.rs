//! Links of the pages: each relative one must lead to a file, and to a heading if it names one.

use std::path::Path;

use anyhow::Result;

use super::{files_below, read, relative};

/// Checks the Markdown pages of the project.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut pages = vec![root.join("README.md"), root.join("lake/README.md")];
    pages.retain(|page| page.is_file());
    for folder in ["docs", "crates"] {
        pages.extend(files_below(&root.join(folder), "md")?);
    }
    let mut problems = Vec::new();
    for page in pages {
        let text = read(&page)?;
        for (number, target) in targets(&text) {
            if let Some(problem) = broken(&page, &text, target)? {
                problems.push(format!("{}:{number}: {problem}", relative(root, &page)));
            }
        }
    }
    Ok(problems)
}

/// The targets of links outside of code, with their lines.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            // The odd parts of a line split at back quotes are code.
            for part in line.split('`').step_by(2) {
                let links = part
                    .split("](")
                    .skip(1)
                    .filter_map(|rest| rest.split([')', ' ']).next());
                found.extend(links.map(|target| (index + 1, target)));
            }
            // A link around code: `[`name`](target)` begins in the part before and ends in the one behind.
        }
    }
    found
}

fn broken(page: &Path, text: &str, target: &str) -> Result<Option<String>> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(None);
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let folder = page.parent().unwrap_or(page);
    let path = if file.is_empty() {
        page.to_owned()
    } else {
        folder.join(file)
    };
    if !path.exists() {
        return Ok(Some(format!("the link `{target}` leads to no file")));
    }
    if heading.is_empty() || path.extension().is_none_or(|ending| ending != "md") {
        return Ok(None);
    }
    let other = if file.is_empty() {
        text.to_owned()
    } else {
        read(&path)?
    };
    if headings(&other).any(|found| found == heading) {
        return Ok(None);
    }
    Ok(Some(format!("the link `{target}` leads to no heading")))
}

/// The anchors of a page's headings, as code forges make them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
}
