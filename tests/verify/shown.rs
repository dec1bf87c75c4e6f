//! The result of each hop is shown as soon as it is known, and each wait with its reason.

use serde_json::Value;

use crate::output::schema;
use crate::support::{Clusters, Ended, Terminal, on_two_clusters};

/// How often a line was shown.
fn told(ended: &Ended, line: &str) -> usize {
    let lines = ended.stderr.lines();
    lines.filter(|told| told.get(5..) == Some(line)).count()
}

/// Returns the progress line for a result such as `ok    scrape target  cluster1    http://… up`.
fn line(row: &str) -> Option<String> {
    let (verdict, hop) = (row.get(..8)?.trim_end(), row.get(10..23)?.trim_end());
    let (cluster, text) = (row.get(25..37)?, row.get(39..)?);
    // A finding without a cluster is shown beside home's.
    let cluster = if cluster.trim_end() == "all" {
        "cluster1    "
    } else {
        cluster
    };
    Some(format!("  {cluster}  {hop:<18}  {verdict:<7}  {text}"))
}

#[test]
fn each_hop_shows_when_it_is_known_and_what_is_waited_for_has_its_reason() {
    on_two_clusters(async |clusters| {
        clusters.scraped_as_configured(true);
        clusters.installed().await;
        a_line_for_each(clusters).await;
        an_event_for_each(clusters).await;
        a_cell_as_it_becomes_known(clusters).await;
        a_table_on_a_terminal(clusters).await;
        clusters.cleaned().await;
        clusters.scraped_as_configured(false);
    });
}

async fn a_line_for_each(clusters: &Clusters) {
    let ended = clusters.run(&["verify"]).await.succeeded();
    let (hops, matrix) = ended.stdout.split_once("from \\ to").expect("a table");
    assert!(matrix.contains("\nVerified in "), "{ended:#?}");
    for row in hops.lines() {
        let line = line(row).expect("a row");
        assert_eq!(told(&ended, &line), 1, "{line}: {ended:#?}");
    }
    for (from, to) in [
        ("cluster1", "cluster1"),
        ("cluster1", "cluster2"),
        ("cluster2", "cluster1"),
    ] {
        let flow = |state: &str, text: &str| {
            format!("  {from}      flow                {state:<7}  to {to}{text}")
        };
        assert_eq!(told(&ended, &flow("ok", "")), 1, "{ended:#?}");
        // Each hop before the last one is shown once, as soon as it is known.
        let begin = flow("seen", ": ");
        let seen = ended.stderr.lines();
        let seen = seen.filter_map(|told| told.get(5..)?.strip_prefix(&begin));
        let seen = seen
            .flat_map(|places| places.split(", "))
            .collect::<Vec<_>>();
        for place in ["requests", "source ztunnel", "destination ztunnel"] {
            let shown = seen.iter().filter(|one| **one == place);
            assert_eq!(shown.count(), 1, "{ended:#?}");
        }
    }
    let waits = "Service sample/helloworld: sending requests; 3 flows wait for metrics of 3";
    assert!(ended.stderr.contains(waits), "{ended:#?}");
    // Two scrapes take long enough for the wait to be shown.
    for cluster in ["cluster1", "cluster2"] {
        let waits = format!("  {cluster}      scrape target       waiting ");
        let reason =
            format!("scrape job federate-{cluster}: waiting for the next scrape of https://");
        let mut lines = ended.stderr.lines();
        let waits = |line: &str| line.contains(&waits) && line.contains(&reason);
        assert!(lines.any(waits), "{cluster}: {ended:#?}");
        let known = format!("  {cluster}      scrape target       ok ");
        assert!(lines.any(|line| line.contains(&known)), "{ended:#?}");
    }
    let quiet = ["verify", "--probes", "none", "-q"];
    assert_eq!(clusters.run(&quiet).await.succeeded().stderr, "");
}

async fn an_event_for_each(clusters: &Clusters) {
    let verify = ["verify", "--probes", "none", "-o", "jsonl"];
    let said = schema::read("jsonl", &clusters.run(&verify).await.succeeded());
    let document = said.document.expect("a document");
    for hop in document["hops"].as_array().expect("hops") {
        let cluster = match &hop["cluster"] {
            Value::Null => &document["clusters"][0]["name"],
            cluster => cluster,
        };
        let of_it = |event: &&Value| event["hop"] == hop["hop"] && event["cluster"] == *cluster;
        let events = said.events.iter().filter(of_it).collect::<Vec<_>>();
        let found = events.last().expect("an event");
        assert_eq!(found["event"], "found", "{events:#?}");
        for field in ["verdict", "message"] {
            assert_eq!(found[field], hop[field], "{events:#?}");
        }
        if hop["verdict"] != "skipped" {
            assert_eq!(events[0]["event"], "started", "{events:#?}");
        }
    }
}

async fn a_table_on_a_terminal(clusters: &Clusters) {
    let kubeconfig = clusters.sandbox.kubeconfig();
    let verify = ["verify", "--probes", "none"];
    let mut terminal = Terminal::start(&verify, kubeconfig, clusters.state(), (60, 160), None);
    let live = |row: &str, text: &str| {
        let spinner = row.chars().next();
        spinner.is_some_and(|c| ('\u{2800}'..='\u{28ff}').contains(&c)) && row.contains(text)
    };
    // Results are shown above lines in progress.
    let known = "cluster2      remote access       ok";
    let under_way = "cluster1      scrape target       scrape job federate-cluster1: waiting for the next scrape of http";
    let both = |terminal: &Terminal| {
        let rows = terminal.rows();
        let stays = |row: &String| row.contains(known);
        rows.iter().any(stays) && rows.iter().any(|row| live(row, under_way))
    };
    terminal
        .shows(&format!("{known}, and {under_way}"), both)
        .await;
    assert!(!terminal.rows().iter().any(|row| row.contains("Verified")));
    let (terminal, code) = terminal.ended().await;
    let rows = terminal.rows();
    assert_eq!(code, 0, "{rows:#?}");
    assert!(!rows.iter().any(|row| live(row, "")), "{rows:#?}");
    let last = rows.last().expect("a result");
    assert!(last.starts_with("Verified in "), "{rows:#?}");
}

/// The hop that a flow waits for is in brackets.
async fn a_cell_as_it_becomes_known(clusters: &Clusters) {
    let kubeconfig = clusters.sandbox.kubeconfig();
    let mut terminal = Terminal::start(&["verify"], kubeconfig, clusters.state(), (60, 100), None);
    for rows in [
        [
            "from \\ to  cluster1    cluster2",
            "cluster1   (requests)  (requests)",
            "cluster2   (requests)  -",
        ],
        [
            "from \\ to  cluster1   cluster2",
            "cluster1   (metrics)  (metrics)",
            "cluster2   (metrics)  -",
        ],
    ] {
        let shown = |terminal: &Terminal| terminal.rows().ends_with(&rows.map(String::from));
        terminal.shows(&rows.join("\n"), shown).await;
    }
    let (terminal, code) = terminal.ended().await;
    let rows = terminal.rows();
    assert_eq!(code, 0, "{rows:#?}");
    let tables = rows.iter().filter(|row| row.starts_with("from"));
    assert_eq!(tables.count(), 1, "{rows:#?}");
    let table = [
        "from \\ to  cluster1  cluster2",
        "cluster1   ok        ok",
        "cluster2   ok        -",
    ];
    assert_eq!(rows[rows.len() - 4..rows.len() - 1], table, "{rows:#?}");
}
