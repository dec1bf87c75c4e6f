//! Commands in what is shown to people, for them to paste into a shell: whatever a context, a file or an
//! object is called, its name stays one word and runs nothing.

use std::borrow::Cow;
use std::path::PathBuf;

/// As one word of a POSIX shell.
pub fn quoted(word: &str) -> Cow<'_, str> {
    // Only a NUL cannot be quoted, and no command line can have one.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed("''"))
}

/// What a command for that context begins with, reading the kubeconfigs that were read here.
pub fn kubectl(files: &[PathBuf], context: &str) -> String {
    let context = quoted(context);
    match files {
        [] => format!("kubectl --context {context}"),
        [file] => {
            let file = file.to_string_lossy();
            format!("kubectl --kubeconfig {} --context {context}", quoted(&file))
        }
        // kubectl's own flag takes one file.
        several => {
            let list = std::env::join_paths(several).unwrap_or_default();
            let list = list.to_string_lossy().into_owned();
            format!("KUBECONFIG={} kubectl --context {context}", quoted(&list))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_taken_apart_by_a_shell_as_it_was_meant() {
        for context in [
            "kind-east",
            "ctx1 (aws)",
            "default/api-ocp:6443/Max O'Example",
            "arn:aws:eks:eu-central-1:1:cluster/prod",
            "$(touch x); `y` \"z\" \\",
            "-n",
            "*?[a]~!#&|<>",
            "zwei\nZeilen",
            "ümläut",
        ] {
            let file = PathBuf::from("my files/kube'config.yaml");
            let command = kubectl(&[file], context);
            let words = shlex::split(&command).unwrap();
            let meant = [
                "kubectl",
                "--kubeconfig",
                "my files/kube'config.yaml",
                "--context",
            ];
            assert_eq!(words, [&meant[..], &[context]].concat(), "{command}");
        }
    }

    #[test]
    fn what_needs_no_quotes_has_none() {
        assert_eq!(kubectl(&[], "kind-east"), "kubectl --context kind-east");
        assert_eq!(
            kubectl(&["a b".into(), "c".into()], "x"),
            "KUBECONFIG='a b:c' kubectl --context x"
        );
    }
}
