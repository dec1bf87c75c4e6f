//! `images`, and the flags that replace images.

use super::run;

#[tokio::test]
async fn images_are_listed_with_the_digest_that_is_pinned() {
    let listed = run(&["images"]).await.succeeded().stdout;
    assert_eq!(
        listed,
        "\
prometheus      prom/prometheus:v3.12.0                     sha256:69f5241418838263316593f7274a304b095c40bcf22e57272865da91bd60a8ac
kiali-operator  quay.io/kiali/kiali-operator:v2.29.0        no digest is pinned
kiali           quay.io/kiali/kiali:v2.29.0                 no digest is pinned
"
    );
    let again = ["--registry", "default", "--image", "kiali=default"];
    let again = run(&[&["images"][..], &again].concat()).await.succeeded();
    assert_eq!(again.stdout, listed);
}

#[tokio::test]
async fn a_registry_is_put_before_all_images_and_one_image_wins_over_it() {
    let arguments = [
        "images",
        "--registry",
        "r.example.com:5000/mirror",
        "--image",
        "kiali=other.example.com/kiali:v2.29.1",
    ];
    assert_eq!(
        run(&arguments).await.succeeded().stdout,
        "\
prometheus      r.example.com:5000/mirror/prom/prometheus:v3.12.0  sha256:69f5241418838263316593f7274a304b095c40bcf22e57272865da91bd60a8ac
kiali-operator  r.example.com:5000/mirror/kiali/kiali-operator:v2.29.0  no digest is pinned
kiali           other.example.com/kiali:v2.29.1             no digest is pinned
"
    );
}

#[tokio::test]
async fn what_is_no_image_or_registry_is_refused_before_anything_is_done() {
    for (flag, value, cause) in [
        (
            "--registry",
            "mirror",
            "\"mirror\" is not a registry such as registry.example.com:5000/mirror",
        ),
        (
            "--registry",
            "https://r.example.com",
            "\"https://r.example.com\" is not a registry such as registry.example.com:5000/mirror",
        ),
        (
            "--image",
            "kiali",
            "\"\" is not an image such as registry.example.com/kiali/kiali:v2.29.0",
        ),
        (
            "--image",
            "grafana=a/b:1",
            "\"grafana\" is not an image of ambikiali; NAME must be one of prometheus, kiali-operator, kiali",
        ),
        (
            "--image",
            "kiali=quay.io/kiali/kiali",
            "\"quay.io/kiali/kiali\" has neither a tag nor a digest, so it could be a different image tomorrow",
        ),
        (
            "--image",
            "prometheus=Prom/x:1",
            "\"Prom/x:1\" is not an image such as registry.example.com/kiali/kiali:v2.29.0",
        ),
    ] {
        let form = if flag == "--image" {
            "NAME=IMAGE"
        } else {
            "HOST[/PREFIX]"
        };
        let said = format!(
            "error: invalid value '{value}' for '{flag} <{form}>': {cause}\n\nFor more information, try '--help'.\n"
        );
        let clusters = ["--ctx1", "east", "--ctx2", "west"];
        for command in [&["images"][..], &[&["install"][..], &clusters].concat()] {
            let ended = run(&[command, &[flag, value]].concat()).await.exited(2);
            assert_eq!((ended.stdout, ended.stderr), (String::new(), said.clone()));
        }
    }
}
