//! Where a run takes place: its folder, its settings, and the binary that is under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use trireme::config::Settings;
use trireme::wire::address::Namespace;

use crate::plan::SKILLS;
use crate::work::LEDGER;

/// The switch of a debug build that leaves a rule of the protocol out.
const BROKEN: &str = "TRIREME_BROKEN";

pub struct Place {
    /// With the ledger, the logs and the servers' data; kept when a run goes wrong.
    pub folder: PathBuf,
    pub settings: Settings,
    config: PathBuf,
    /// The same settings, with a program that there is not.
    pub lacking: PathBuf,
    binary: PathBuf,
    broken: Option<String>,
}

impl Place {
    /// `broker` may be several URLs, comma separated.
    pub fn new(folder: PathBuf, broker: &str, store: &str, slots: u32, broken: Option<&str>) -> Result<Self, String> {
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        // target/<profile>/examples/chaos, and beside that folder the binary.
        let binary = this.parent().and_then(Path::parent).map(|folder| folder.join("trireme"));
        let binary =
            binary.filter(|path| path.is_file()).ok_or("there is no `trireme` beside this program's folder")?;
        let [config, lacking] = ["chaos.toml", "lacking.toml"].map(|name| folder.join(name));
        for folder in ["ledger", "log"].map(|name| folder.join(name)) {
            std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        std::fs::write(&config, configuration(&this, broker, store, slots)).map_err(|error| error.to_string())?;
        let missing = configuration(&folder.join("missing"), broker, store, slots);
        std::fs::write(&lacking, missing).map_err(|error| error.to_string())?;
        let settings = Settings::resolve(Some(&config), [], Vec::new()).map_err(|error| error.to_string())?;
        Ok(Self { folder, settings, config, lacking, binary, broken: broken.map(Into::into) })
    }

    pub fn ledger(&self) -> PathBuf {
        self.folder.join("ledger")
    }

    pub fn namespace(&self) -> &Namespace {
        &self.settings.broker.namespace
    }

    /// The binary under test, on this place's settings and no others.
    pub fn trireme(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TRIREME_") {
                command.env_remove(name);
            }
        }
        command.env("TRIREME_CONFIG", &self.config);
        command.envs(self.broken.iter().map(|name| (BROKEN, name)));
        command
    }
}

/// Everything that is not said here is as it ships.
fn configuration(work: &Path, broker: &str, store: &str, slots: u32) -> String {
    let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let (work, broker, store) = (text(&work.display().to_string()), text(broker), text(store));
    let skill = |name: &str| {
        format!(
            "[skills.{name}]\nrunner = \"command\"\nmax_attempts = 10\n\
             [skills.{name}.command]\nargv = [{work}, \"work\"]\nenv = [\"{LEDGER}\"]\n"
        )
    };
    format!(
        "[broker]\nurl = {broker}\nnamespace = \"chaos\"\n[store]\nurl = {store}\n[agents]\nslots = {slots}\n{}",
        SKILLS.map(skill).concat()
    )
}
