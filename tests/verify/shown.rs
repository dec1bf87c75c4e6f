//! The result of each hop is shown as soon as it is known, and each wait with its reason.

use serde_json::Value;

use crate::output::schema;
use crate::support::{Clusters, Terminal, on_two_clusters};

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
        a_table_on_a_terminal(clusters).await;
        clusters.cleaned().await;
        clusters.scraped_as_configured(false);
    });
}

async fn a_line_for_each(clusters: &Clusters) {
    let ended = clusters.run(&["verify"]).await.succeeded();
    let rows = ended.stdout.lines().collect::<Vec<_>>();
    let (result, rows) = rows.split_last().expect("a result");
    assert!(result.starts_with("Verified in "), "{ended:#?}");
    for row in rows {
        let line = line(row).expect("a row");
        let told = ended
            .stderr
            .lines()
            .filter(|told| told.get(5..) == Some(&line));
        assert_eq!(told.count(), 1, "{line}: {ended:#?}");
    }
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
    let quiet = ["verify", "--traffic", "none", "-q"];
    assert_eq!(clusters.run(&quiet).await.succeeded().stderr, "");
}

async fn an_event_for_each(clusters: &Clusters) {
    let verify = ["verify", "--traffic", "none", "-o", "jsonl"];
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
    let verify = ["verify", "--traffic", "none"];
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
