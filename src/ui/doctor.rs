//! The result of doctor as text, and as a report for an issue.

mod markdown;

use anstyle::Style;

use super::report::{BAD, DIM, GOOD};
use crate::doctor::Likelihood;
use crate::mesh::ClusterName;
use crate::out;
use crate::out::{Form, Text};
use crate::result::{DoctorResult, Unasked};

/// The causes with what was seen and how to fix them, then what was ruled out, then what could not be asked.
pub fn diagnosed(result: &DoctorResult) {
    if out::manner().form == Form::Markdown {
        return markdown::lines(result).into_iter().for_each(out::report);
    }
    for (cause, number) in result.causes.iter().zip(1..) {
        let cluster = of(cause.cluster.as_ref());
        let (style, word) = (look(cause.likelihood), cause.likelihood.word());
        let text = Text::from(format!("{number:>2}. {}  {cluster:<12}  ", cause.code));
        let text = text.styled(style, format!("{word:<8}")).plain("  ");
        let text = text.plain(cause.title).own("\n    ").lines(&cause.seen);
        let text = text.own("\n    ").styled(DIM, "fix:");
        out::result(text.plain(format!(" {}", cause.fix)));
    }
    let unasked = unasked(&result.unknown);
    if !unasked.is_empty() {
        out::result("Could not be asked:");
    }
    for (cluster, why, codes) in unasked {
        let text = Text::from(format!("    {:<12}  ", of(cluster))).plain(why);
        out::result(text.styled(DIM, format!(" ({})", codes.join(", "))));
    }
    let causes = match result.causes.len() {
        0 => Text::new().styled(GOOD, "Nothing found"),
        1 => Text::new().styled(BAD, "1 likely cause"),
        count => Text::new().styled(BAD, format!("{count} likely causes")),
    };
    out::result(causes.plain(format!(
        " in {:.1}s; ruled out: {} of {}",
        result.took.as_secs_f64(),
        result.ruled_out.len(),
        crate::doctor::COUNT
    )));
}

fn of(cluster: Option<&ClusterName>) -> &str {
    cluster.map_or("all", ClusterName::as_str)
}

fn look(likelihood: Likelihood) -> Style {
    match likelihood {
        Likelihood::Seen | Likelihood::Likely => BAD,
        Likelihood::Possible => DIM,
    }
}

/// What could not be asked, with the causes that this leaves open.
fn unasked(unknown: &[Unasked]) -> Vec<(Option<&ClusterName>, &str, Vec<String>)> {
    let mut reasons: Vec<(Option<&ClusterName>, &str, Vec<String>)> = Vec::new();
    for one in unknown {
        let (cluster, why) = (one.cluster.as_ref(), one.why.as_str());
        let code = one.code.to_string();
        match reasons
            .iter_mut()
            .find(|(c, w, _)| *c == cluster && *w == why)
        {
            Some((.., codes)) => codes.push(code),
            None => reasons.push((cluster, why, vec![code])),
        }
    }
    reasons
}
