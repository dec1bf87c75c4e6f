//! The reports of made-up results: good, broken, hostile and large ones.

mod browser;
mod junit;
mod markdown;
mod page;
mod picture;
mod samples;

use super::*;

const NOW: &str = "2026-11-30T12:00:00Z";

fn rendered(format: Format, ended: &Ended) -> String {
    text(format, ended, "{}", NOW).unwrap()
}

/// The report of each format that is XML or could be.
#[track_caller]
fn parsed(xml: &str) -> roxmltree::Document<'_> {
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        ..Default::default()
    };
    let parsed = roxmltree::Document::parse_with_options(xml, options);
    parsed.unwrap_or_else(|error| panic!("{error}\n{xml}"))
}

#[test]
fn the_ending_of_a_file_is_its_format() {
    for (path, format) in [
        ("a.html", Format::Html),
        ("a/b.SVG", Format::Svg),
        ("a.b.json", Format::Json),
        ("a.md", Format::Markdown),
    ] {
        let file = File::by_ending(path.into()).unwrap();
        assert_eq!((file.path.to_str(), file.format), (Some(path), format));
    }
    for path in [
        "",
        "a",
        "a.pdf",
        ".html",
        "html",
        "a.html/",
        "a.html.gz",
        "a.xml",
    ] {
        let refused = File::by_ending(path.into());
        if path != "a.html/" {
            assert!(refused.is_err(), "{path}");
        }
    }
}

#[test]
fn nothing_from_a_cluster_reaches_a_report_as_markup_or_as_a_control_character() {
    for ended in samples::all() {
        for format in [Format::Html, Format::Svg, Format::Markdown, Format::Junit] {
            let text = rendered(format, &ended);
            let hidden = text.find(|c| c != '\n' && crate::visible::is_hidden(c));
            assert_eq!(hidden, None, "{format:?}: {text}");
            assert!(!text.contains(['\u{fffe}', '\u{ffff}']), "{format:?}");
            if format != Format::Markdown {
                let markup = ["<script", "<img", "javascript:\"", "onload=\""];
                let found = markup.iter().find(|one| text.contains(**one));
                assert_eq!(found, None, "{format:?}: {text}");
                parsed(&text);
            }
        }
    }
}

#[test]
fn a_long_text_is_cut_and_the_document_has_the_whole() {
    let long = "x".repeat(5000);
    let ended = samples::with_message(&long);
    for format in [Format::Html, Format::Markdown, Format::Junit] {
        let text = rendered(format, &ended);
        assert!(!text.contains(&long) && text.contains(&format!("{}…", &long[..2000])));
    }
    let json = "{\n  \"kind\": \"VerifyResult\"\n}";
    let text = text(Format::Json, &ended, json, NOW).unwrap();
    assert_eq!(text, format!("{json}\n"));
}
