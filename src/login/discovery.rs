//! Asks an OpenID Connect provider whether it is the issuer that it is taken for, as Kiali does at each login.

use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use serde::Deserialize;

use crate::{problem, visible};

const PATIENCE: Duration = Duration::from_secs(10);
/// More than any provider says of itself.
const LARGEST: usize = 256 << 10;
const REDIRECTS: usize = 3;
const PATH: &str = "/.well-known/openid-configuration";

/// Why a provider cannot be used, or is not known to be usable.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// Pods of home may reach it all the same.
    Unreachable(String),
    /// Kiali would refuse it.
    Unusable(String),
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    #[serde(default)]
    authorization_endpoint: String,
    #[serde(default)]
    response_types_supported: Vec<String>,
}

pub async fn discover(issuer: &str) -> Result<(), Fault> {
    let body = configuration(issuer).await.map_err(Fault::Unreachable)?;
    judge(issuer, &body)
}

async fn configuration(issuer: &str) -> Result<Vec<u8>, String> {
    let client = Client::builder()
        .https_only(true)
        .redirect(redirect::Policy::limited(REDIRECTS))
        .timeout(PATIENCE);
    let client = client
        .build()
        .map_err(|error| problem::root_cause(&error))?;
    let url = format!("{}{PATH}", issuer.trim_end_matches('/'));
    let answer = client.get(url).send().await;
    let mut answer = answer.map_err(|error| told(&error))?;
    if answer.status() != StatusCode::OK {
        return Err(format!("it answers {}", answer.status()));
    }
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| told(&error))? {
        body.extend_from_slice(&part);
        if body.len() > LARGEST {
            return Err(format!("its answer is larger than {} KiB", LARGEST >> 10));
        }
    }
    Ok(body)
}

fn told(error: &reqwest::Error) -> String {
    match error.is_timeout() {
        true => problem::no_answer(PATIENCE),
        false => visible::short(&problem::root_cause(error), visible::SAID).into_owned(),
    }
}

fn judge(issuer: &str, body: &[u8]) -> Result<(), Fault> {
    // A login page of a proxy is no answer of the provider.
    let none = |_| Fault::Unreachable("its answer is no OpenID configuration".into());
    let said = serde_json::from_slice::<Configuration>(body).map_err(none)?;
    if said.issuer != issuer {
        return Err(Fault::Unusable(format!(
            "it says that its issuer is {}, and Kiali compares both as text",
            visible::short(&said.issuer, visible::SAID)
        )));
    }
    let has_code = said
        .response_types_supported
        .iter()
        .any(|one| one == "code");
    match has_code && !said.authorization_endpoint.is_empty() {
        true => Ok(()),
        false => Err(Fault::Unusable(
            "it does not offer the authorization code flow, and Kiali knows no other".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://login.example.com";
    const GOOD: &str = r#"{"issuer": "https://login.example.com", "response_types_supported": ["id_token", "code"],
        "authorization_endpoint": "https://login.example.com/auth", "jwks_uri": 1}"#;

    #[test]
    fn a_provider_must_say_the_same_issuer_and_offer_the_code_flow() {
        let judged = |text: &str| judge(ISSUER, text.as_bytes());
        assert_eq!(judged(GOOD), Ok(()));
        let other = GOOD.replace(
            "\"issuer\": \"https://login.example.com\"",
            "\"issuer\": \"https://login.example.com/\"",
        );
        let Err(Fault::Unusable(said)) = judged(&other) else {
            panic!("another issuer");
        };
        assert!(
            said.contains("its issuer is https://login.example.com/,"),
            "{said}"
        );
        let implicit = GOOD.replace("\"code\"", "\"token\"");
        assert!(matches!(judged(&implicit), Err(Fault::Unusable(_))));
        for page in ["", "<html>", "[]", "{\"issuer\": 1}"] {
            assert!(matches!(judged(page), Err(Fault::Unreachable(_))), "{page}");
        }
    }

    #[test]
    fn whatever_a_provider_answers_is_read_or_refused() {
        crate::fuzz::fuzz("OpenID configuration", &[GOOD], |input| {
            let _ = judge(ISSUER, input);
        });
    }
}
