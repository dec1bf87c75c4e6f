//! Quotes names in commands that users may paste into a shell, so that a context, file or object of any name is a
//! single word and runs nothing.

use std::borrow::Cow;
use std::path::PathBuf;

/// Quotes a text as one word of a POSIX shell.
pub fn quoted(word: &str) -> Cow<'_, str> {
    // A NUL cannot be quoted, and no command line can contain one.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed("''"))
}

/// kubectl with the flags that select a context and the kubeconfigs that were read.
pub fn kubectl(files: &[PathBuf], context: &str) -> String {
    let context = quoted(context);
    match files {
        [] => format!("kubectl --context {context}"),
        [file] => {
            let file = file.to_string_lossy();
            format!("kubectl --kubeconfig {} --context {context}", quoted(&file))
        }
        // kubectl's --kubeconfig takes only one file.
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
