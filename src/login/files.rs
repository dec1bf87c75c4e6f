//! The files of a login: the client secret, and a token of the issuer. Neither is ever shown, recorded or remembered.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Login;
use crate::problem::{Exit, Problem};
use crate::{files, visible};

const LONGEST_SECRET: usize = 4096;
const LONGEST_TOKEN: usize = 16 << 10;
/// The flags.
pub const SECRET_FILE: &str = "--oidc-client-secret-file";
pub const TOKEN_FILE: &str = "--oidc-token-file";

/// The files that the user gave.
#[derive(Debug, Default)]
pub struct Files {
    pub secret: Option<PathBuf>,
    pub token: Option<PathBuf>,
}

/// An ID token of the issuer for the client.
#[derive(Clone, Debug)]
pub struct Token(SecretString);

impl Token {
    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

/// What an ID token says of itself. Only an API server verifies its signature.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn has(&self, client: &str) -> bool {
        match self {
            Audience::One(one) => one == client,
            Audience::Many(all) => all.iter().any(|one| one == client),
        }
    }
}

impl Files {
    /// Returns the login with what the files hold.
    pub fn read(self, login: Option<Login>) -> Result<Option<Login>, Problem> {
        let Some(mut login) = login else {
            let flags = [(SECRET_FILE, self.secret), (TOKEN_FILE, self.token)];
            return match flags.into_iter().find(|(_, file)| file.is_some()) {
                Some((flag, _)) => Err(Problem::new(
                    Exit::Usage,
                    format!("{flag} goes with --auth openid"),
                )),
                None => Ok(None),
            };
        };
        if let Some(path) = self.secret {
            login.secret = Some(read(SECRET_FILE, &path, secret)?);
        }
        if let Some(path) = self.token {
            login.token = Some(read(TOKEN_FILE, &path, |text| token(text, &login))?);
        }
        Ok(Some(login))
    }
}

/// The error names the file, but never quotes it.
fn read<T>(
    flag: &str,
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, Problem> {
    let text = files::text(path).map(SecretString::from);
    let parsed = text.and_then(|text| parse(without_line_end(text.expose_secret())));
    parsed.map_err(|cause| Problem::new(Exit::Usage, format!("{flag} {}: {cause}", path.display())))
}

/// Kiali reads the secret as it is, and editors end a file with a line break.
fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

fn secret(text: &str) -> Result<SecretString, String> {
    match text.len() {
        0 => Err("it is empty".into()),
        1..=LONGEST_SECRET if !text.contains(char::is_control) => Ok(text.into()),
        1..=LONGEST_SECRET => Err("a client secret is one line".into()),
        _ => Err(format!(
            "a client secret has at most {LONGEST_SECRET} bytes"
        )),
    }
}

fn token(text: &str, login: &Login) -> Result<Token, String> {
    let none = || "it is no ID token (JWT)".to_string();
    let signs = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c);
    if text.len() > LONGEST_TOKEN || !text.chars().all(signs) {
        return Err(none());
    }
    let parts = text.split('.').collect::<Vec<_>>();
    let [_, payload, _] = parts[..] else {
        return Err(none());
    };
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| none())?;
    // The parser's error is dropped, because it quotes the token.
    let claims = serde_json::from_slice::<Claims>(&payload).map_err(|_| none())?;
    if claims.iss != login.issuer {
        let other = visible::short(&claims.iss, visible::SAID);
        return Err(format!(
            "the token is of issuer {other}, and --{} is {}",
            super::ISSUER,
            login.issuer
        ));
    }
    match claims.aud.has(&login.client_id) {
        true => Ok(Token(text.into())),
        false => Err(format!("the token is not for client {}", login.client_id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login {
            issuer: "https://login.example.com".into(),
            client_id: "kiali".into(),
            ..Login::default()
        }
    }

    fn jwt(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_token_must_be_of_the_issuer_and_for_the_client() {
        let good = r#"{"iss": "https://login.example.com", "aud": "kiali", "sub": "a"}"#;
        assert!(token(&jwt(good), &login()).is_ok());
        let many = r#"{"iss": "https://login.example.com", "aud": ["other", "kiali"]}"#;
        assert!(token(&jwt(many), &login()).is_ok());
        for (payload, said) in [
            (
                good.replace("login", "evil"),
                "the token is of issuer https://evil.example.com, and --oidc-issuer is https://login.example.com",
            ),
            (
                good.replace("kiali", "other"),
                "the token is not for client kiali",
            ),
            ("{}".into(), "it is no ID token (JWT)"),
        ] {
            assert_eq!(token(&jwt(&payload), &login()).unwrap_err(), said);
        }
        for text in [
            "",
            "a.b",
            "a.b.c.d",
            "e30.!.c2ln",
            "e30.e30",
            &"a".repeat(LONGEST_TOKEN + 1),
        ] {
            assert!(token(text, &login()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_one_line_and_its_line_end_is_dropped() {
        let read = |text: &str| secret(without_line_end(text));
        for text in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            assert_eq!(read(text).unwrap().expose_secret(), "s3cret");
        }
        for text in ["", "\n", "a\nb", "a\0", &"a".repeat(LONGEST_SECRET + 1)] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn neither_a_secret_nor_a_token_is_shown() {
        let login = Login {
            secret: Some("s3cret".into()),
            token: Some(Token("t0ken".into())),
            ..login()
        };
        let shown = format!("{login:?}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("t0ken"),
            "{shown}"
        );
    }

    #[test]
    fn whatever_a_token_file_holds_is_read_or_refused() {
        let good = jwt(r#"{"iss": "https://login.example.com", "aud": ["kiali"], "sub": "a"}"#);
        crate::fuzz::fuzz("ID token", &[&good], |input| {
            if let Ok(text) = std::str::from_utf8(input) {
                let _ = token(text, &login());
            }
        });
    }
}
