//! What a reader of Markdown takes from a report.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Options, Parser, Tag};

use super::{Format, rendered, samples};
use crate::visible;

#[test]
fn a_good_result_is_a_few_tables() {
    let text = rendered(Format::Markdown, &samples::good());
    let (head, rest) = text.split_once("\n### Hops of each flow\n").unwrap();
    assert_eq!(
        head,
        "\
## ambikiali verify: Verified

- Hops: 3 ok; flows: 4 ok
- Started 2026-11-30T12:00:00Z, took 75.3 s
- ambikiali 0.1.0

### Flows

| from, to | `cluster1` | `cluster2` |
| --- | --- | --- |
| `cluster1` | ok 24 requests | ok 24 requests |
| `cluster2` | ok 24 requests | ok 24 requests |
"
    );
    for line in [
        "| `cluster1` | `cluster2` | metrics | ok | 71304 bytes | 22.3 s | `seen by metrics` |",
        "| ok | components | `cluster1` | `11 ready` |",
        "| `cluster1` | home | `kind-cluster1` | `https://192.0.2.0:6443` |",
        "| `cluster2` | `DaemonSet istio-system/ztunnel` | `docker.io/istio/ztunnel:1.29.1` |",
    ] {
        assert!(rest.lines().any(|one| one == line), "{line}\n{rest}");
    }
}

#[test]
fn what_comes_from_a_cluster_is_in_code_spans_and_nothing_of_it_is_lost() {
    let hostile = visible::in_line(samples::HOSTILE).replace('\u{fffe}', "\u{fffd}");
    let spelt = hostile.replace('`', "\\x60").replace('|', "\\x7c");
    for ended in samples::all() {
        let text = rendered(Format::Markdown, &ended);
        let mut spans = BTreeSet::new();
        for event in Parser::new_ext(&text, Options::all()) {
            match event {
                Event::Code(code) => drop(spans.insert(code.to_string())),
                Event::Text(own) => {
                    let foreign = ["@", "://", "script", "evil", "x1b"];
                    assert!(
                        !foreign.iter().any(|one| own.contains(one)),
                        "{own}\n{text}"
                    );
                }
                Event::Start(
                    Tag::Heading { .. }
                    | Tag::Paragraph
                    | Tag::List(_)
                    | Tag::Item
                    | Tag::Strong
                    | Tag::Table(_)
                    | Tag::TableHead
                    | Tag::TableRow
                    | Tag::TableCell,
                )
                | Event::End(_) => {}
                other => panic!("{other:?}\n{text}"),
            }
        }
        if text.contains("evil.example") && !text.contains("no answer") {
            assert!(spans.contains(&spelt), "{spelt}\n{spans:#?}");
        }
    }
}
