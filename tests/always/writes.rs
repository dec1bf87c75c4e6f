//! The writes of the binary, from the API servers' audit logs.

use std::collections::BTreeMap;

use ambikiali_sandbox::audit::Mark;

/// Returns the objects that were created more than once since the marks, except the Lease, which each run creates.
pub fn duplicated(marks: &[Mark; 2]) -> Vec<String> {
    let mut counts = BTreeMap::new();
    for (cluster, mark) in marks.iter().enumerate() {
        let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
        let created = writes.iter().filter(|request| request.code == 201);
        for request in created.filter(|request| request.resource != "leases") {
            let path = request.uri.split('?').next().unwrap_or_default();
            *counts.entry((cluster, path.to_string())).or_insert(0) += 1;
        }
    }
    assert!(!counts.is_empty(), "nothing was created at all");
    let twice = counts.into_iter().filter(|(_, count)| *count > 1);
    twice
        .map(|((cluster, path), count)| format!("cluster{}: {path}: {count}", cluster + 1))
        .collect()
}

/// Returns all writes since the marks, as logged.
pub fn written(marks: &[Mark; 2]) -> Vec<String> {
    let writes = marks.iter().map(|mark| {
        let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
        let lines = writes.iter().map(|w| format!("{} {}", w.verb, w.uri));
        lines.collect::<Vec<_>>()
    });
    writes.flatten().collect()
}
