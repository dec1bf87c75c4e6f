//! The examples in the help of each command.

pub const CHECK: &str = "\
Examples:
  ambikiali check --ctx1 kind-east --ctx2 kind-west
  ambikiali check --list";
pub const PLAN: &str = "\
Examples:
  ambikiali plan --ctx1 kind-east --ctx2 kind-west
  ambikiali plan --ctx1 kind-east --ctx2 kind-west --exit-code -o json";
pub const INSTALL: &str = "\
Examples:
  ambikiali install --ctx1 kind-east --ctx2 kind-west
  ambikiali install --ctx1 east --ctx2 west --api-server2 https://10.1.0.4:6443
  ambikiali install --ctx1 eu --ctx2 us --ctx2 ap
  ambikiali install -f ambikiali.yaml
  ambikiali install --ctx1 eu --ctx2 us --registry registry.example.com/mirror";
pub const RENDER: &str = "\
Examples:
  ambikiali render --home eu --remote us --out clusters \\
    --target eu=10.1.0.9:9090 --target us=10.2.0.9:9090
  ambikiali render --home eu --remote us --out rbac --rbac";
pub const VERIFY: &str = "\
Examples:
  ambikiali verify
  ambikiali verify --ctx1 kind-east --ctx2 kind-west --probes none";
pub const STATUS: &str = "\
Examples:
  ambikiali status
  ambikiali status --ctx1 kind-east --ctx2 kind-west";
pub const ESTIMATE: &str = "\
Examples:
  ambikiali estimate
  ambikiali estimate --ctx1 kind-east --ctx2 kind-west -o json";
pub const DASHBOARD: &str = "\
Examples:
  ambikiali dashboard
  ambikiali dashboard --port 8080 --no-open";
pub const ROTATE: &str = "\
Examples:
  ambikiali rotate
  ambikiali rotate --if-older 30d
  ambikiali rotate --ctx2 ap
  ambikiali rotate --token-lifetime 24h";
pub const CLEANUP: &str = "\
Examples:
  ambikiali cleanup --dry-run
  ambikiali cleanup --ctx1 kind-east --ctx2 kind-west
  ambikiali cleanup --ctx2 ap --only";
pub const EXPLAIN: &str = "\
Examples:
  ambikiali explain AK1103";
pub const VERSION: &str = "\
Examples:
  ambikiali version
  ambikiali version --client";
pub const IMAGES: &str = "\
Examples:
  ambikiali images
  ambikiali images --registry registry.example.com/mirror";
pub const COMPLETIONS: &str = "\
Examples:
  source <(ambikiali completions bash)
  ambikiali completions zsh > ~/.zfunc/_ambikiali";
pub const MAN: &str = "\
Examples:
  ambikiali man ~/.local/share/man/man1";
