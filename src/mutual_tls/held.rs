//! The certificates in the Secrets of a cluster.

use anyhow::Result;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::{Pair, Side, judge, now_unix, value};
use crate::k8s::health::Health;
use crate::k8s::look::Component;
use crate::k8s::{Scope, secret};
use crate::mesh::pem;
use crate::progress::ObjectId;

/// `status` counts the days of a certificate that ends within so many.
const WARNED: i64 = 60;

/// The pair in a Secret, if it is usable. Tells of one that is not.
pub async fn held(
    scope: &Scope<'_>,
    id: &ObjectId,
    side: Side,
    names: [&str; 2],
) -> Result<Option<Pair>> {
    let Some(live) = secret::live(scope, id).await? else {
        return Ok(None);
    };
    match Pair::of(side, &live["data"], names, now(scope)) {
        Ok(pair) => Ok(Some(pair)),
        // One of others is not replaced, which the apply says.
        Err(_) if !scope.record.is_ours(&live) => Ok(None),
        Err(fault) => {
            let name = &scope.cluster.name;
            scope.progress.note(format!(
                "{name}: the certificate in {id} {fault}: it is replaced"
            ));
            Ok(None)
        }
    }
}

/// The pair that is there, or a new one.
pub fn held_or_new(scope: &Scope<'_>, side: Side, held: Option<Pair>) -> Result<Pair> {
    held.map_or_else(|| Pair::new(side, now(scope)), Ok)
}

/// The time by which certificates of a cluster are judged.
pub fn now(scope: &Scope<'_>) -> Timestamp {
    scope.cluster.server_time().unwrap_or_else(Timestamp::now)
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
        days @ ..WARNED => format!("its certificates are valid for {days} more days, until {day}"),
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
        let end = value(data, name).and_then(|text| trusted(other, &text, now));
        end.map_err(|fault| format!("{name} {fault}"))
    };
    let ends = peers.iter().map(peer).collect::<Result<Vec<_>, _>>()?;
    Ok(ends.into_iter().fold(own, Timestamp::min))
}

/// When the last of some trusted certificates ends.
fn trusted(side: Side, text: &[u8], now: Timestamp) -> Result<Timestamp, String> {
    let all = pem::certificates(text, pem::Broken::Refused)?;
    let ends = all
        .iter()
        .map(|one| judge(side, one, now_unix(now.into())).map(|(_, end)| end));
    let last = ends.collect::<Result<Vec<_>, _>>()?.into_iter().max();
    last.ok_or_else(|| "has no certificate".into())
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
            "its certificates are valid for 59 more days, until 2026-03-02"
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
