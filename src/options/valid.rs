//! Whether the name and the value of an option from a record are ones that a flag could have set.

use super::{ALLOW_WRITE, DEFAULT, IMAGE, NETWORK_POLICIES, ON, REGISTRY, TOKEN_LIFETIME};
use crate::exposure::{self, ANNOTATION, HTTP, INTERNAL, PROTOCOL, SOURCE_RANGE};
use crate::images::{self, COMPONENTS};
use crate::login::{self, RBAC};
use crate::{age, history, metrics, own_prometheus, store, visible};

/// Limits for the lengths of a name and a value.
const LONGEST_NAME: usize = 320;
pub const LONGEST: usize = 1024;

/// Whether a name and a value have characters and a length that any version could have written.
pub fn readable(name: &str, value: &str) -> Result<(), String> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || ['-', '.', '_', '/'].contains(&c);
    let good = (1..=LONGEST_NAME).contains(&name.len())
        && name.chars().all(of_name)
        && (1..=longest(name)).contains(&value.len())
        && value.chars().all(|c| c.is_ascii_graphic());
    good.then_some(()).ok_or_else(|| {
        let name = visible::short(name, visible::SAID);
        format!(
            "option \"{}\" is not valid, or longer than {} characters",
            name.escape_debug(),
            longest(&name)
        )
    })
}

/// The certificates of a CA are the only long value.
fn longest(name: &str) -> usize {
    match name {
        store::CA => store::ca::LARGEST,
        _ => LONGEST,
    }
}

/// Validates a value with the parser of its flag.
pub fn known(name: &str, value: &str) -> Result<(), String> {
    if let Some(key) = name.strip_prefix(ANNOTATION) {
        exposure::annotation_key(key)?;
        return exposure::annotation_value(value).map(drop);
    }
    let of_module = login::known(name, value)
        .or_else(|| metrics::known(name, value))
        .or_else(|| store::known(name, value));
    if let Some(known) = of_module {
        return known;
    }
    if let Some(known) = history::known(name, value) {
        return known;
    }
    if let Some(known) = own_prometheus::known(name, value) {
        return known;
    }
    let component = name.strip_prefix(IMAGE);
    match (name, component) {
        (SOURCE_RANGE, _) if value.split(',').any(|range| range == DEFAULT) => Err(format!(
            "--{SOURCE_RANGE} {DEFAULT} does not go with other ranges"
        )),
        (SOURCE_RANGE, _) => exposure::source_ranges(value).map(drop),
        (PROTOCOL, _) if value != HTTP => Err(format!("\"{value}\" is no value of {name}")),
        (INTERNAL, _) => exposure::provider(value).map(drop),
        (REGISTRY, _) => images::registry(value).map(drop),
        (TOKEN_LIFETIME, _) => age::lifetime(value).map(drop),
        (ALLOW_WRITE | NETWORK_POLICIES | RBAC, _) if value != ON => {
            Err(format!("\"{value}\" is no value of {name}"))
        }
        (_, Some(component)) if COMPONENTS.contains(&component) => {
            images::reference(value).map(drop)
        }
        _ => Ok(()),
    }
}
