//! The clusters of a command with their records and the options of the install: opened together, before the
//! command runs. An install that is given no options uses those of the last one, which home's record keeps.

use anyhow::Result;

use crate::code::Code;
use crate::deadline::Deadline;
use crate::guide::Step;
use crate::k8s::health::Health;
use crate::k8s::lease::Lease;
use crate::k8s::record::{self, Record};
use crate::k8s::{Choices, Scope};
use crate::last_install;
use crate::mesh::{Address, Mesh};
use crate::options::{Asked, Options, TOKEN_LIFETIME};
use crate::planned;
use crate::problem::{self, Exit, Problem};
use crate::progress::Events;
use crate::run::LeftOut;
use crate::settings::Settings;

/// What a command works on.
pub struct Session {
    pub mesh: Mesh,
    pub namespace: String,
    /// One for each cluster, in the mesh's order.
    pub records: Vec<Record>,
    pub options: Options,
    /// What the options decide.
    pub settings: Settings,
    /// Remotes that the command does without.
    pub left_out: LeftOut,
}

/// What was found when home's record was read.
pub type HomeRecord = Result<Health>;

impl Session {
    /// For commands that open the records themselves, or need none.
    pub fn new(mesh: Mesh, namespace: &str) -> Result<Session> {
        // Nothing outside of this list may be deleted.
        let inventory = planned::inventory(namespace)?;
        let records = mesh
            .all()
            .map(|cluster| Record::of(&mesh, cluster, namespace, inventory.clone()));
        Ok(Session {
            records: records.collect(),
            mesh,
            namespace: namespace.into(),
            options: Options::default(),
            settings: Settings::default(),
            left_out: LeftOut::default(),
        })
    }

    /// Continues from what home's record says of the last install: its options, and the Prometheus servers that
    /// it used. What the record says is returned, because each command judges that by itself.
    pub async fn of_last_install(
        mesh: Mesh,
        namespace: &str,
        deadline: Deadline,
        events: &Events,
    ) -> Result<(Session, HomeRecord)> {
        let mut session = Session::new(mesh, namespace)?;
        let found = session.read_home(deadline, events).await;
        let Session { mesh, records, .. } = &mut session;
        let remotes = mesh.remotes.iter_mut();
        for cluster in std::iter::once(&mut mesh.home).chain(remotes) {
            if !cluster.prometheus_is_set {
                cluster.prometheus = records[0].prometheus(&cluster.uid);
            }
        }
        for (record, cluster) in records.iter_mut().zip(mesh.all()) {
            record.set_members(mesh, cluster);
        }
        session.set_options(session.records[0].stored_options().unwrap_or_default());
        Ok((session, found))
    }

    /// For an install: the options of the last one, changed by those that are asked for. The lines tell what
    /// the user may not expect of them.
    pub async fn for_install(
        mesh: Mesh,
        left_out: LeftOut,
        namespace: &str,
        asked: &Asked,
        deadline: Deadline,
        events: &Events,
    ) -> Result<(Session, Vec<String>)> {
        let (mut session, found) =
            Session::of_last_install(mesh, namespace, deadline, events).await?;
        session.left_out = left_out;
        let found = told_later(found)?;
        let said = session.choose(found, asked)?;
        Ok((session, said))
    }

    /// For a rotation, which changes tokens alone: only the option for their lifetime can be given, so only this one must
    /// come from the user.
    pub async fn for_rotation(
        mesh: Mesh,
        namespace: &str,
        asked: &Asked,
        deadline: Deadline,
        events: &Events,
    ) -> Result<(Session, Vec<String>)> {
        let (mut session, found) =
            Session::of_last_install(mesh, namespace, deadline, events).await?;
        told_later(found)?;
        let before = session.options.clone();
        session.check_format(&before)?;
        let last = last_install::choices(&session.records[0].id).options;
        let lifetime = |options: Options| options.only(TOKEN_LIFETIME);
        session.check_given(lifetime(before.deciding_but(&last, asked)), Vec::new())?;
        session.check_narrowed(&lifetime(last.narrowing_but(&before, asked)))?;
        let options = chosen(&before, asked)?;
        let said = changes(&before, &options).collect();
        session.set_options(options);
        Ok((session, said))
    }

    async fn read_home(&self, deadline: Deadline, events: &Events) -> HomeRecord {
        let record = &self.records[0];
        let scope = Scope {
            cluster: &self.mesh.home,
            record,
            lease: &Lease::on(&self.mesh, &self.namespace, &record.id),
            seen: None,
            choices: Choices::default(),
            settings: &self.settings,
            namespace: &self.namespace,
            progress: events.of(Step::Namespace, &self.mesh.home.name),
            deadline,
        };
        record::look(&scope).await
    }

    fn set_options(&mut self, options: Options) {
        self.settings = options.settings();
        self.options = options;
    }

    fn choose(&mut self, found: Option<Health>, asked: &Asked) -> Result<Vec<String>, Problem> {
        let before = self.options.clone();
        self.check_format(&before)?;
        self.check_source(&before, asked)?;
        let clusters = self.mesh.all().map(|cluster| &cluster.name);
        let options = chosen(&before, asked)?.without_others(&clusters.collect::<Vec<_>>(), asked);
        let mut said = Vec::new();
        if self.records[0].stored_options().is_some() {
            said.extend(changes(&before, &options));
        }
        if let Some(Health::Failed(why)) = found {
            said.push(format!(
                "cannot read the options of the last install; {}: {why}",
                self.record_name()
            ));
        }
        if said.is_empty() && !before.is_default() {
            said.push(format!(
                "using the options of the last install: {}",
                before.shown()
            ));
        }
        self.set_options(options);
        Ok(said)
    }

    fn check_format(&self, before: &Options) -> Result<(), Problem> {
        if before.is_known() {
            return Ok(());
        }
        let cause = format!(
            "{}: a newer version of ambikiali ran the last install, and this version does not know its options",
            self.mesh.home.name
        );
        Err(Problem::new(Exit::Preflight, cause).fix(format!(
            "use that version or a newer one; if nobody ran one, {}",
            record::way_out(&self.mesh.home, &self.namespace)
        )))
    }

    /// Anyone who may write ConfigMaps may write a record, so a record alone never chooses what is run or
    /// scraped: the user must have given it, now or at the last install on this machine. Nor does it open a Gateway
    /// that was narrowed on this machine.
    fn check_source(&self, before: &Options, asked: &Asked) -> Result<(), Problem> {
        let last = last_install::choices(&self.records[0].id);
        let mut servers = Vec::new();
        for (cluster, number) in self.mesh.all().zip(1..) {
            let Some(address) = cluster.prometheus.as_ref() else {
                continue;
            };
            if !cluster.prometheus_is_set && last.prometheus.get(&cluster.uid) != Some(address) {
                servers.push((number, address));
            }
        }
        self.check_given(before.deciding_but(&last.options, asked), servers)?;
        self.check_narrowed(&last.options.narrowing_but(before, asked))
    }

    /// Refuses options, and Prometheus servers by the numbers of their clusters, that only the record sets.
    fn check_given(
        &self,
        options: Options,
        servers: Vec<(usize, &Address)>,
    ) -> Result<(), Problem> {
        let (mut shown, mut to_use, mut to_reset) = (Vec::new(), Vec::new(), Vec::new());
        if !options.is_default() {
            shown.push(options.shown());
            to_use.push(options.flags());
            to_reset.push(options.flags_back());
        }
        for (number, address) in servers {
            let flag = format!("--prometheus{number} {address}");
            shown.push(flag.clone());
            to_use.push(flag);
            to_reset.push(format!("--prometheus{number} default"));
        }
        if to_use.is_empty() {
            return Ok(());
        }
        let [shown, to_use, to_reset] = [shown, to_use, to_reset].map(|flags| flags.join(" "));
        let record = self.record_name();
        Err(self.option_of_record(
            &format!("{record} sets {shown}, which was not given on this machine; someone else may have written it"),
            &format!("to accept it, run the same command with {to_use}; to use the defaults, with {to_reset}"),
        ))
    }

    fn check_narrowed(&self, lost: &Options) -> Result<(), Problem> {
        if lost.is_default() {
            return Ok(());
        }
        let (to_use, to_reset) = (lost.flags(), lost.flags_back());
        let (record, shown) = (self.record_name(), lost.shown());
        Err(self.option_of_record(
            &format!("the last install on this machine had {shown}, and {record} does not have it; someone else may have removed it"),
            &format!("to keep it, run the same command with {to_use}; to go without it, with {to_reset}"),
        ))
    }

    fn option_of_record(&self, cause: &str, fix: &str) -> Problem {
        let cause = format!("{}: {cause}", self.mesh.home.name);
        let problem = Problem::new(Exit::Preflight, cause).code(Code::OptionOfRecord);
        problem.fix(fix)
    }

    fn record_name(&self) -> String {
        format!("ConfigMap {}/{}", self.namespace, record::NAME)
    }
}

/// A record of another home, or one that the user may not read, is no error here: the check explains both.
pub fn told_later(found: HomeRecord) -> Result<Option<Health>> {
    let told = [Exit::Conflict, Exit::Unexpected];
    match found {
        Ok(health) => Ok(Some(health)),
        Err(error) if problem::find(&error).is_some_and(|p| told.contains(&p.exit)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The options of the last install, changed by those that are asked for.
fn chosen(before: &Options, asked: &Asked) -> Result<Options, Problem> {
    let options = before.choose(asked);
    options.map_err(|cause| Problem::new(Exit::Usage, cause))
}

/// A line for each option that changed.
fn changes(before: &Options, now: &Options) -> impl Iterator<Item = String> + use<> {
    let changes = before.changes(now).into_iter();
    changes.map(|change| format!("option changed since the last install: {change}"))
}
