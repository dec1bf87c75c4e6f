//! The certificates in the Secrets of a cluster.

use anyhow::Result;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::{Pair, Side, judge, now_unix, text, value};
use crate::k8s::health::Health;
use crate::k8s::look::Component;
use crate::k8s::{Scope, secret};
use crate::mesh::pem;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

/// `status` counts the days of a certificate that ends within so many.
const WARNED: i64 = 60;

/// The certificates in a Secret.
pub struct Held {
    pub pair: Pair,
    /// The Secret as it was read.
    pub live: Value,
}

impl Held {
    /// The certificates of the other side that this value of the Secret trusts.
    pub fn trusted(&self, name: &str) -> String {
        text(&self.live["data"], name).unwrap_or_default()
    }
}

/// The certificates in a Secret, if its pair is usable. Tells of one that is not.
pub async fn held(
    scope: &Scope<'_>,
    id: &ObjectId,
    side: Side,
    names: [&str; 2],
) -> Result<Option<Held>> {
    let Some(live) = secret::live(scope, id).await? else {
        return Ok(None);
    };
    // Somebody else knows the key in a Secret that no install wrote. Whether it may be replaced, the apply decides.
    if !is_written_by_us(scope, &live) {
        return Ok(None);
    }
    match Pair::of(side, &live["data"], names, now(scope)) {
        Ok(pair) => Ok(Some(Held { pair, live })),
        Err(fault) => {
            let name = &scope.cluster.name;
            let is = if scope.choices.dry_run {
                "would be"
            } else {
                "is"
            };
            scope.progress.note(format!(
                "{name}: the certificate in {id} {fault}: it {is} replaced"
            ));
            Ok(None)
        }
    }
}

/// The certificates in a value of a Secret, in PEM. An error if there are none, or one of them cannot be read.
pub fn certificates(secret: &Value, name: &str) -> Result<Vec<String>> {
    let text = text(&secret["data"], name).map_err(anyhow::Error::msg)?;
    let all =
        pem::certificates(text.as_bytes(), pem::Broken::Refused).map_err(anyhow::Error::msg)?;
    Ok(all.chunks(1).map(pem::text).collect())
}

/// Whether an install made the Secret, or filled in one that was rendered.
fn is_written_by_us(scope: &Scope<'_>, live: &Value) -> bool {
    let entry = scope.record.entry(live);
    let is_recorded =
        entry.is_some_and(|entry| entry.uid.as_deref() == live["metadata"]["uid"].as_str());
    scope.record.is_ours(live) || is_recorded
}

/// The error that a certificate in a Secret is not used in time.
pub fn not_in_use(scope: &Scope<'_>, id: &ObjectId, why: &str) -> Problem {
    let cause = format!("{}: {id}: not in use yet: {why}", scope.cluster.name);
    let problem = Problem::new(Exit::TimedOut, cause);
    problem.fix("run ambikiali rotate --certificates again: it goes on")
}

/// The pair that is there, or a new one.
pub fn held_or_new(scope: &Scope<'_>, side: Side, held: Option<Held>) -> Result<Pair> {
    held.map_or_else(|| Pair::new(side, now(scope)), |held| Ok(held.pair))
}

/// The time by which certificates of a cluster are judged.
pub fn now(scope: &Scope<'_>) -> Timestamp {
    let own = Timestamp::now();
    let server = scope.cluster.server_time();
    // A clock that is wrong by more than that is of no use for dates of years.
    let is_near = |server: &Timestamp| server.duration_since(own).as_hours().abs() < 366 * 24;
    server.filter(is_near).unwrap_or(own)
}

/// The Secret of one side: its own pair under `names`, and the certificates of its `peers`.
pub async fn status(
    scope: &Scope<'_>,
    id: ObjectId,
    side: Side,
    names: [&str; 2],
    peers: &[String],
) -> Component {
    let now = now(scope);
    let judged = match secret::live(scope, &id).await {
        Err(error) => Err(Health::Failed(format!("{error:#}"))),
        Ok(None) => Err(Health::InProgress("not found".into())),
        Ok(Some(live)) => ends(side, &live["data"], names, peers, now)
            .map_err(|fault| Health::Failed(format!("{fault}: run install again"))),
    };
    match judged {
        Err(health) => Component::new(id, health),
        Ok(ends) => Component {
            note: Some(told_end(ends, now)),
            ..Component::new(id, Health::Ready)
        },
    }
}

fn told_end(ends: Timestamp, now: Timestamp) -> String {
    let day = ends.strftime("%F");
    match ends.duration_since(now).as_hours() / 24 {
        days @ ..WARNED => format!(
            "its certificates are valid for {days} more days, until {day}: replace them with ambikiali rotate --certificates"
        ),
        _ => format!("its certificates are valid until {day}"),
    }
}

/// When the first certificate of a Secret ends; an error if one of them is unusable.
fn ends(
    side: Side,
    data: &Value,
    names: [&str; 2],
    peers: &[String],
    now: Timestamp,
) -> Result<Timestamp, String> {
    let pair = Pair::of(side, data, names, now);
    let own = pair
        .map_err(|fault| format!("{} {fault}", names[0]))?
        .expires;
    let other = match side {
        Side::Server => Side::Client,
        Side::Client => Side::Server,
    };
    let peer = |name: &String| {
        let end = value(data, name).and_then(|text| last_end(other, &text, now));
        end.map_err(|fault| format!("{name} {fault}"))
    };
    let ends = peers.iter().map(peer).collect::<Result<Vec<_>, _>>()?;
    Ok(ends.into_iter().fold(own, Timestamp::min))
}

/// When the last of some trusted certificates ends. One of them is enough.
fn last_end(side: Side, text: &[u8], now: Timestamp) -> Result<Timestamp, String> {
    let all = pem::certificates(text, pem::Broken::Refused)?;
    let ends = all.iter().map(|one| judge(side, one, now_unix(now.into())));
    let (usable, faults): (Vec<_>, Vec<_>) = ends.partition(Result::is_ok);
    let last = usable.into_iter().flatten().map(|(_, end)| end).max();
    let fault = faults.into_iter().find_map(Result::err);
    last.ok_or_else(|| fault.unwrap_or_else(|| "has no certificate".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutual_tls::data;
    use crate::mutual_tls::tests::{NAMES, after, now, ring, secret};
    use serde_json::json;

    #[test]
    fn the_first_end_of_the_certificates_of_a_secret_is_told() {
        ring();
        let own = Pair::new(Side::Server, now()).unwrap();
        let peer = Pair::new(Side::Client, after(-100)).unwrap();
        let mut values = secret(&own);
        values["ca.crt"] = data(&peer.certificate);
        let peers = ["ca.crt".to_string()];
        let ends = |values: &Value| ends(Side::Server, values, NAMES, &peers, now());
        assert_eq!(ends(&values), Ok(after(630)));
        assert_eq!(
            told_end(after(630), now()),
            "its certificates are valid until 2027-09-24"
        );
        assert_eq!(
            told_end(after(59), now()),
            "its certificates are valid for 59 more days, until 2026-03-02: replace them with ambikiali rotate --certificates"
        );
        for (value, fault) in [
            (json!(""), "ca.crt has no PEM certificate"),
            (data(&own.certificate), "ca.crt is not for a client alone"),
            (Value::Null, "ca.crt has no ca.crt"),
        ] {
            values["ca.crt"] = value;
            assert_eq!(ends(&values), Err(fault.into()));
        }
    }
}
