//! Checks the README in both languages and all links in the documentation. Needs no cluster.

use std::fs;
use std::path::{Path, PathBuf};

/// Limit for the lines of the README.
const LONGEST: usize = 150;
const PAGES: [&str; 5] = [
    "README.md",
    "README.zh.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "manifests/README.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Splits a page into its prose and its code blocks with their languages.
fn parts(text: &str) -> (Vec<&str>, Vec<String>) {
    let (mut prose, mut blocks) = (Vec::new(), Vec::new());
    let mut block: Option<String> = None;
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        match block.take() {
            None if fence => block = Some(format!("{line}\n")),
            None => prose.push(line),
            Some(code) if fence => blocks.push(code),
            Some(code) => block = Some(format!("{code}{line}\n")),
        }
    }
    assert!(block.is_none(), "a block of code without an end");
    (prose, blocks)
}

/// Returns the level and text of each heading.
fn headings<'a>(prose: &[&'a str]) -> Vec<(usize, &'a str)> {
    let heading = |line: &'a str| {
        let words = line.trim_start_matches('#');
        let level = line.len() - words.len();
        let words = words.strip_prefix(' ')?;
        (1..=6).contains(&level).then_some((level, words.trim()))
    };
    prose.iter().copied().filter_map(heading).collect()
}

/// Returns the anchor that GitHub derives from a heading.
fn anchor(words: &str) -> String {
    let kept = words.to_lowercase();
    let kept = kept.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ => c.is_alphanumeric().then_some(c),
    });
    kept.collect()
}

/// Returns the targets of links, which may span two lines.
fn links(prose: &[&str]) -> Vec<String> {
    let text = prose.join("\n");
    let ends = text.split("](").skip(1);
    let targets = ends.filter_map(|rest| Some(rest.split_once(')')?.0.trim().to_string()));
    targets.collect()
}

/// Returns the pages in the root folder and all pages in docs.
fn pages() -> Vec<PathBuf> {
    let folder = fs::read_dir(root().join("docs")).expect("a folder docs");
    let docs = folder.map(|entry| entry.expect("an entry").path());
    let docs = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let named = PAGES.iter().map(|page| root().join(page));
    named.chain(docs).collect()
}

/// Returns why a link is broken.
fn fault(page: &Path, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let (file, wanted) = link.split_once('#').unwrap_or((link, ""));
    let path = match file {
        "" => page.to_path_buf(),
        _ => page.parent().expect("a folder").join(file),
    };
    if !path.exists() {
        return Some("no such file".into());
    }
    if wanted.is_empty() {
        return None;
    }
    let text = read(&path);
    let (prose, _) = parts(&text);
    let found = headings(&prose)
        .into_iter()
        .any(|(_, words)| anchor(words) == wanted);
    (!found).then(|| "no such heading".into())
}

#[test]
fn the_readme_is_one_page() {
    for page in ["README.md", "README.zh.md"] {
        let lines = read(&root().join(page)).lines().count();
        assert!(lines <= LONGEST, "{page} has {lines} lines");
    }
}

#[test]
fn both_readmes_have_the_same_headings_and_the_same_commands() {
    let [english, chinese] = ["README.md", "README.zh.md"].map(|page| read(&root().join(page)));
    let ((english, code), (chinese, same)) = (parts(&english), parts(&chinese));
    let levels = |prose: &[&str]| {
        let headings = headings(prose).into_iter();
        headings.map(|(level, _)| level).collect::<Vec<_>>()
    };
    assert_eq!(levels(&english), levels(&chinese));
    assert!(!code.is_empty());
    assert_eq!(code, same);
}

#[test]
fn each_link_of_the_documentation_leads_somewhere() {
    let mut faults = Vec::new();
    for page in pages() {
        let text = read(&page);
        let (prose, _) = parts(&text);
        for link in links(&prose) {
            if let Some(fault) = fault(&page, &link) {
                faults.push(format!("{}: {link}: {fault}", page.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_anchor_is_made_as_on_the_pages_of_github() {
    for (words, made) in [
        ("Try it here", "try-it-here"),
        (
            "AK1003 error: rights are missing",
            "ak1003-error-rights-are-missing",
        ),
        ("federated-prometheus.yaml", "federated-prometheusyaml"),
        ("The API server's address", "the-api-servers-address"),
    ] {
        assert_eq!(anchor(words), made);
    }
}
