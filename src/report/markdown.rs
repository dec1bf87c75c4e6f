//! For an issue or a chat. Everything that may come from a cluster stands in a code span, in which no reader looks for
//! links, mentions, HTML or emphasis.

use super::view::{FlowView, View};

pub fn text(view: &View) -> String {
    let mut lines = vec![
        format!("## ambikiali verify: {}", view.title),
        String::new(),
    ];
    if !view.counts.is_empty() {
        lines.push(format!("- Hops: {}", view.counts));
    }
    let took = view.took.map(|took| format!(", took {took} s"));
    lines.push(format!(
        "- Started {}{}",
        view.started,
        took.unwrap_or_default()
    ));
    lines.push(format!("- ambikiali {}", view.client));
    for error in &view.errors {
        let code = error.code.iter().map(|code| format!("{code} "));
        let code = code.collect::<String>();
        lines.push(format!("- **error** {code}{}", code_span(&error.message)));
        let fix = error.fix.iter();
        lines.extend(fix.map(|fix| format!("  - fix: {}", code_span(fix))));
    }
    matrix(view, &mut lines);
    flows(&view.flows, &mut lines);
    findings(view, &mut lines);
    clusters(view, &mut lines);
    lines.join("\n") + "\n"
}

fn matrix(view: &View, lines: &mut Vec<String>) {
    if view.rows.is_empty() {
        return;
    }
    let names = view.names.iter().map(|name| code_span(name));
    let heads = std::iter::once("from, to".to_string()).chain(names);
    let rows = view.rows.iter().map(|row| {
        let cells = row.cells.iter().map(|cell| match cell {
            Some(cell) => format!("{} {}", cell.verdict, cell.note).trim_end().into(),
            None => "not tried".into(),
        });
        std::iter::once(code_span(&row.from)).chain(cells).collect()
    });
    table("Flows", heads.collect(), rows.collect(), lines);
}

/// The hops of each flow.
fn flows(flows: &[FlowView], lines: &mut Vec<String>) {
    let rows = flows.iter().flat_map(|flow| {
        flow.hops.iter().map(|hop| {
            vec![
                code_span(&flow.from),
                code_span(&flow.to),
                hop.hop.into(),
                hop.verdict.into(),
                hop.count.clone().unwrap_or_default(),
                hop.seconds.map(|s| format!("{s} s")).unwrap_or_default(),
                code_span(&hop.message),
            ]
        })
    });
    let heads = [
        "from",
        "to",
        "hop",
        "verdict",
        "counted",
        "seen after",
        "message",
    ];
    table("Hops of each flow", owned(&heads), rows.collect(), lines);
}

fn findings(view: &View, lines: &mut Vec<String>) {
    let rows = view.findings.iter().map(|finding| {
        let code = finding.code.iter().map(|code| format!("{code} "));
        vec![
            finding.verdict.into(),
            finding.hop.into(),
            code_span(&finding.cluster),
            code.collect::<String>() + &code_span(&finding.message),
        ]
    });
    let heads = ["verdict", "hop", "cluster", "message"];
    table("Hops", owned(&heads), rows.collect(), lines);
}

fn clusters(view: &View, lines: &mut Vec<String>) {
    let rows = view.clusters.iter().map(|cluster| {
        vec![
            code_span(&cluster.name),
            cluster.role.clone(),
            code_span(&cluster.context),
            code_span(&cluster.server),
        ]
    });
    let heads = ["cluster", "role", "context", "API server"];
    table("Clusters", owned(&heads), rows.collect(), lines);
    let versions = view.clusters.iter().flat_map(|cluster| {
        let versions = cluster.versions.iter();
        versions.map(|version| {
            vec![
                code_span(&cluster.name),
                code_span(&version.object),
                code_span(&version.image),
            ]
        })
    });
    let heads = ["cluster", "object", "image"];
    table("Versions", owned(&heads), versions.collect(), lines);
}

fn owned(heads: &[&str]) -> Vec<String> {
    heads.iter().map(|head| (*head).into()).collect()
}

fn table(title: &str, heads: Vec<String>, rows: Vec<Vec<String>>, lines: &mut Vec<String>) {
    if rows.is_empty() {
        return;
    }
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let rule = vec!["---".to_string(); heads.len()];
    lines.extend([String::new(), format!("### {title}"), String::new()]);
    lines.extend([line(&heads), line(&rule)]);
    lines.extend(rows.iter().map(|row| line(row)));
}

/// What would end the span or the cell of a table is written as its number: readers disagree about escapes in there.
fn code_span(text: &str) -> String {
    match text.trim() {
        "" => String::new(),
        text => format!("`{}`", text.replace('`', "\\x60").replace('|', "\\x7c")),
    }
}
