use super::*;

pub const NAMES: [&str; 2] = ["tls.crt", "tls.key"];

pub fn ring() {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

pub fn secret(pair: &Pair) -> Value {
    json!({NAMES[0]: data(&pair.certificate), NAMES[1]: pair.key_data()})
}

pub fn after(days: i64) -> Timestamp {
    let seconds = now().as_second() + days * DAY as i64;
    Timestamp::from_second(seconds).unwrap()
}

fn fault(side: Side, secret: &Value, now: Timestamp) -> String {
    Pair::of(side, secret, NAMES, now).unwrap_err()
}

#[test]
fn a_new_pair_is_read_back_from_its_secret_until_it_ends() {
    ring();
    for side in [Side::Server, Side::Client] {
        let pair = Pair::new(side, now()).unwrap();
        let secret = secret(&pair);
        for day in [-1, 0, 729] {
            let read = Pair::of(side, &secret, NAMES, after(day)).unwrap();
            assert_eq!(read.certificate, pair.certificate);
            assert_eq!(read.key.expose_secret(), pair.key.expose_secret());
            assert_eq!(read.expires, after(730));
        }
        assert_eq!(fault(side, &secret, after(-2)), "is not valid yet");
        assert_eq!(fault(side, &secret, after(731)), "has expired");
    }
}

#[test]
fn a_pair_that_proves_something_else_is_refused() {
    ring();
    let [server, client] = [Side::Server, Side::Client].map(|side| Pair::new(side, now()).unwrap());
    let other = Pair::new(Side::Server, now()).unwrap();
    assert_eq!(
        fault(Side::Server, &secret(&client), now()),
        "is not for a server alone"
    );
    assert_eq!(
        fault(Side::Client, &secret(&server), now()),
        "is not for a client alone"
    );
    let of = |certificate: &str, key: &str| {
        let values = json!({NAMES[0]: data(certificate), NAMES[1]: data(key)});
        fault(Side::Server, &values, now())
    };
    let key = server.key.expose_secret();
    assert_eq!(
        of(&other.certificate, key),
        "has a key that does not fit it"
    );
    assert_eq!(
        of(&server.certificate, ""),
        "has a key that does not fit it"
    );
    assert_eq!(of("", key), "has no PEM certificate");
    let broken = server.certificate.replacen("MII", "!!!", 1);
    assert_eq!(of(&broken, key), "has an invalid PEM block");
    let two = server.certificate.clone() + &other.certificate;
    assert_eq!(of(&two, key), "has 2 certificates");
    let huge = server.certificate.clone() + &"x".repeat(LARGEST);
    assert_eq!(of(&huge, key), "is larger than 16384 bytes");
    assert_eq!(fault(Side::Server, &json!({}), now()), "has no tls.crt");
    let unreadable = json!({NAMES[0]: "%", NAMES[1]: "%"});
    assert_eq!(
        fault(Side::Server, &unreadable, now()),
        "has no readable tls.crt"
    );
}

#[test]
fn certificates_of_others_are_no_gateways() {
    ring();
    let made = |names: &[&str], ca: bool, usages: Vec<ExtendedKeyUsagePurpose>| {
        let key = KeyPair::generate().unwrap();
        let names = names.iter().map(|name| (*name).to_string());
        let mut params = CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
        params.extended_key_usages = usages;
        if ca {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }
        let certificate = params.self_signed(&key).unwrap();
        let text = pem::text(std::slice::from_ref(certificate.der()));
        let values = json!({
            NAMES[0]: data(&text), NAMES[1]: data(&pem::key_text(&key.serialize_der())),
        });
        Pair::of(Side::Server, &values, NAMES, now()).map(drop)
    };
    let server = || vec![ExtendedKeyUsagePurpose::ServerAuth];
    let both = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    assert_eq!(made(&[SERVER_NAME], false, server()), Ok(()));
    let name = Err(format!("is not that of {SERVER_NAME} alone"));
    assert_eq!(made(&["a.example"], false, server()), name);
    assert_eq!(made(&[SERVER_NAME, "a.example"], false, server()), name);
    assert_eq!(made(&[SERVER_NAME, "192.0.2.1"], false, server()), name);
    assert_eq!(made(&[SERVER_NAME], true, server()), name);
    let usage = Err("is not for a server alone".to_string());
    assert_eq!(made(&[SERVER_NAME], false, both), usage);
    assert_eq!(made(&[SERVER_NAME], false, Vec::new()), usage);
}

#[test]
fn a_key_does_not_print() {
    ring();
    let pair = Pair::new(Side::Client, now()).unwrap();
    let inner = pair.key.expose_secret().lines().nth(1).unwrap();
    assert!(!format!("{pair:?}").contains(inner));
}
