//! The page in a real browser. What the browser computes is compared with what a reader needs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::browser::Browser;
use super::{Format, parsed, rendered, samples};
use crate::result::Ended;
use crate::visible;

/// A phone and a desk.
const WIDTHS: [u32; 2] = [360, 1280];
const FUNCTIONS: &str = include_str!("page.js");
/// The variable that names a folder for screenshots.
const SCREENSHOTS: &str = "AMBIKIALI_SCREENSHOTS";

#[test]
fn a_browser_shows_each_page_whole_and_asks_nobody_for_anything() {
    let mut browser = Browser::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    a_bad_page_is_found_out(&mut browser, &file);
    for (name, ended) in [
        ("good", samples::good()),
        ("broken", samples::broken()),
        ("hostile", samples::hostile()),
        ("many", samples::many(16)),
        ("without-flows", samples::without_flows()),
        ("failed", samples::failed()),
    ] {
        fs::write(&file, rendered(Format::Html, &ended)).unwrap();
        for width in WIDTHS {
            for scheme in ["light", "dark"] {
                let said = browser.open(&file, width, scheme);
                assert!(said.is_empty(), "{name}: {said:#?}");
                fits(&mut browser, &format!("{name} at {width}, {scheme}"), width);
                keep(&mut browser, &format!("{name}-{width}-{scheme}"));
            }
        }
        same_elements(&mut browser, &ended);
    }
    hostile_text_is_text(&mut browser, &file);
    flows_open_from_the_matrix_and_in_print(&mut browser, &file);
    the_picture_alone(&mut browser, folder.path());
}

/// The checks below find what they look for.
fn a_bad_page_is_found_out(browser: &mut Browser, file: &Path) {
    let bad = "<!DOCTYPE html><meta name=viewport content=width=device-width><title></title><p style='color: #999; background: #fff'>pale</p>
        <div style='width: 500px'>wide</div><h3>third</h3><h5>fifth</h5><table><tr><th>no scope</th></tr></table>
        <p id=a></p><p id=a></p><img src='http://127.0.0.1:1/x'><script>console.error(1)</script>";
    fs::write(file, bad).unwrap();
    let said = browser.open(file, 360, "light").concat();
    for complaint in ["127.0.0.1:1/x", "Runtime.consoleAPICalled"] {
        assert!(said.contains(complaint), "{said}");
    }
    let found = browser.evaluate(&format!("{FUNCTIONS}; looked()"));
    let found = found
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap());
    let found = found
        .map(|one| one.split(':').next().unwrap())
        .collect::<Vec<_>>();
    let all = [
        "language", "title", "headings", "headings", "headings", "scope", "id", "scripts", "width",
        "contrast",
    ];
    assert_eq!(found, all);
}

fn fits(browser: &mut Browser, what: &str, width: u32) {
    let found = browser.evaluate(&format!("{FUNCTIONS}; looked()"));
    assert_eq!(found, json!([]), "{what}");
    let inner = browser.evaluate("document.documentElement.clientWidth");
    assert_eq!(inner, width, "{what}");
}

fn keep(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os(SCREENSHOTS) {
        let file = Path::new(&folder).join(format!("{name}.png"));
        fs::write(file, browser.screenshot()).unwrap();
    }
}

/// A reader of HTML sees the elements that a reader of XML sees: none is left open, and none is implied.
fn same_elements(browser: &mut Browser, ended: &Ended) {
    let text = rendered(Format::Html, ended);
    let mut by_xml = BTreeMap::<String, u64>::new();
    for node in parsed(&text).descendants().filter(|node| node.is_element()) {
        *by_xml.entry(node.tag_name().name().into()).or_default() += 1;
    }
    let by_html = browser.evaluate(&format!("{FUNCTIONS}; elements()"));
    assert_eq!(by_html, json!(by_xml));
}

fn hostile_text_is_text(browser: &mut Browser, file: &Path) {
    fs::write(file, rendered(Format::Html, &samples::hostile())).unwrap();
    browser.open(file, 1280, "light");
    let shown = visible::in_line(samples::HOSTILE).replace('\u{fffe}', "\u{fffd}");
    let text = browser.evaluate("document.querySelector('.findings p').textContent");
    assert_eq!(text, format!("AK1209: {shown}"));
    let name = browser.evaluate("document.querySelector('h3').textContent");
    assert_eq!(name, "<script>alert(1)</script> (home)");
    // Even if something slipped through, the policy would not run it.
    let tried = "const s = document.createElement('script'); s.textContent = 'window.ran = 1';
        document.body.append(s); window.ran === undefined";
    assert_eq!(browser.evaluate(tried), true);
    let policy = browser.evaluate("document.querySelector('meta[http-equiv]').content");
    let policy = policy.as_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
}

fn flows_open_from_the_matrix_and_in_print(browser: &mut Browser, file: &Path) {
    fs::write(file, rendered(Format::Html, &samples::good())).unwrap();
    browser.open(file, 360, "light");
    let closed = "[...document.querySelectorAll('details')].map(one => one.open)";
    assert_eq!(
        browser.evaluate(closed),
        json!([false, false, false, false])
    );
    let click = "document.querySelectorAll('td a')[1].click();
        new Promise(done => setTimeout(() => done(document.querySelectorAll('details')[1].open), 200))";
    assert_eq!(browser.evaluate(click), true);
    let visible = "[...document.querySelectorAll('details ol')].map(one => one.checkVisibility())";
    assert_eq!(
        browser.evaluate(visible),
        json!([false, true, false, false])
    );
    browser.media("print", "dark");
    assert_eq!(browser.evaluate(visible), json!([true, true, true, true]));
    let paper = browser.evaluate("getComputedStyle(document.body).backgroundColor");
    assert_eq!(paper, "rgb(255, 255, 255)");
}

fn the_picture_alone(browser: &mut Browser, folder: &Path) {
    let file = folder.join("report.svg");
    for (name, ended) in [("two", samples::good()), ("three", samples::broken())] {
        fs::write(&file, rendered(Format::Svg, &ended)).unwrap();
        for scheme in ["light", "dark"] {
            let said = browser.open(&file, 500, scheme);
            assert!(said.is_empty(), "{said:#?}");
            let pale: Value = browser.evaluate(&format!("{FUNCTIONS}; contrast()"));
            assert_eq!(pale, json!([]));
            keep(browser, &format!("picture-{name}-{scheme}"));
        }
    }
}
