//! The result of a cleanup as text.

use super::aside::error;
use super::report::{BAD, GOOD};
use crate::cleanup::{Forced, Left};
use crate::out;
use crate::out::Text;
use crate::result::CleanupResult;

/// What is left; after a dry run, what would be removed.
pub fn cleaned(result: &CleanupResult) {
    result.errors.iter().for_each(error);
    match result.dry_run {
        true => planned(result),
        false => done(result),
    }
}

fn planned(result: &CleanupResult) {
    for one in &result.changed {
        say!("would change  {:<12}  {}", one.cluster, one.object);
    }
    for one in &result.removed {
        say!("would remove  {:<12}  {}", one.cluster, one.object);
    }
    for one in &result.left {
        out::result(left("would leave ", one));
    }
    for one in &result.kept {
        out::result(stays(Text::new().plain("would keep  "), one));
    }
    for one in &result.forced {
        forced("would stay  ", one);
    }
    doubts(result);
    let (count, cleared) = (result.removed.len(), &result.cleared);
    say!("Dry run: {count} objects would be removed in {cleared}");
}

fn done(result: &CleanupResult) {
    for one in &result.left {
        out::result(left("left", one));
    }
    for one in &result.kept {
        out::result(stays(Text::new().plain("kept"), one));
    }
    for one in &result.forced {
        forced("stays", one);
    }
    doubts(result);
    let took = format!("in {:.1}s", result.took.as_secs_f64());
    let cleared = &result.cleared;
    let clean = |said: &str| {
        let text = Text::new().styled(GOOD, "Clean");
        out::result(text.plain(format!(" {took}: {said}")));
    };
    match (result.is_clean(), result.forced.is_empty()) {
        (true, true) if !result.kept.is_empty() => clean(&format!(
            "nothing from ambikiali is left in {cleared} but what holds data, as listed above"
        )),
        (true, true) => clean(&format!("nothing from ambikiali is left in {cleared}")),
        (true, false) => clean(&format!(
            "nothing that ambikiali created is left in {cleared}; its changes to objects of others are listed above"
        )),
        (false, _) if result.nothing_is_left() => say!(
            "Removed {took}: nothing that ambikiali created is left in {cleared}, but a record there has entries that ambikiali did not write: see above"
        ),
        (false, _) => {}
    }
}

fn left(word: &str, left: &Left) -> Text {
    stays(Text::new().styled(BAD, word), left)
}

fn stays(text: Text, left: &Left) -> Text {
    let text = text.plain(format!("  {:<12}  {}", left.cluster, left.object));
    match &left.reason {
        Some(reason) => text.plain(": ").lines(reason),
        None => text,
    }
}

fn forced(word: &str, forced: &Forced) {
    say!(
        "{word}  {:<12}  {}, changed by install --force-conflicts and not restored: {}",
        forced.cluster,
        forced.object,
        forced.fields.join(", ")
    );
}

fn doubts(result: &CleanupResult) {
    for doubt in &result.doubts {
        let text = Text::new().styled(BAD, "not ours");
        out::result(text.plain(format!("  {:<12}  {}", doubt.cluster, doubt.message)));
    }
}
