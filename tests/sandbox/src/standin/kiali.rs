use super::container::Container;

/// Works until it exits with a code or is dropped.
pub async fn run(container: Container) -> i32 {
    let _ = container;
    todo!()
}
