use super::*;

fn remotes(line: &str) -> Result<Vec<(usize, String, Option<String>)>, String> {
    let home = Arg::new("ctx1").long("ctx1");
    let command = Remotes::<true>::augment_args(Command::new("x").arg(home));
    let words = format!("x --ctx1 a {line}");
    let matches = command.try_get_matches_from(words.split_whitespace());
    let matches = matches.map_err(|error| error.kind().to_string())?;
    let remotes = Remotes::<true>::from_arg_matches(&matches).map_err(|e| e.to_string())?;
    Ok(remotes
        .all
        .into_iter()
        .map(|r| (r.number, r.context, r.own.api_server.map(|a| a.to_string())))
        .collect())
}

#[test]
fn remotes_are_given_by_a_repeated_flag_or_by_numbers() {
    let named = |number, context: &str| (number, context.to_string(), None);
    assert_eq!(remotes("--ctx2 b"), Ok(vec![named(2, "b")]));
    let three = Ok(vec![named(2, "b"), named(3, "c")]);
    assert_eq!(remotes("--ctx2 b --ctx2 c"), three);
    assert_eq!(remotes("--ctx3 c --ctx2 b"), three);
    let at = Some("https://h:1".to_string());
    let with_address = Ok(vec![named(2, "b"), (3, "c".into(), at)]);
    assert_eq!(
        remotes("--ctx2 b --ctx2 c --api-server3 https://h:1"),
        with_address
    );
    for invalid in [
        "",
        "--ctx3 c",
        "--ctx2 b --ctx2 c --ctx3 d",
        "--ctx2 b --api-server3 https://h:1",
        "--ctx2 b --api-server2 http://h:1",
        "--ctx2 b --api-server2 h:1",
        "--ctx2 b --ca3 system",
        "--ctx2 b --tls-server-name2 a_/b",
    ] {
        assert!(remotes(invalid).is_err(), "{invalid}");
    }
}
