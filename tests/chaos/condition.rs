//! What a process is born with: most are as they should be; some lack their program, have few files, or a clock that is
//! hours off. A life ends with a kill, so that clocks jump from one to the next.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::random::Random;

/// So many lives in a hundred have each of them.
const LACKS_PROGRAM_PERCENT: u64 = 20;
const FEW_FILES_PERCENT: u64 = 15;
const CLOCK_PERCENT: u64 = 20;
/// So many files that an executor has room for one program at once.
const FILES: u32 = 46;
const OFFSETS: [&str; 4] = ["+1h", "-1h", "+11m", "-2h"];
/// Where packages put the library.
const FAKETIME: [&str; 3] = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Well,
    LacksProgram,
    FewFiles,
    Clock(&'static str),
}

impl Condition {
    /// What the ledger calls those that are faults.
    pub const LACKS_PROGRAM: &str = "without its program";
    pub const FEW_FILES: &str = "out of files";
    pub const CLOCK: &str = "clock differs";

    pub fn of(layer: &str, random: &mut Random) -> Self {
        let drawn = random.next() % 100;
        let is_executor = layer == "executor";
        match drawn {
            _ if drawn < CLOCK_PERCENT => Self::Clock(OFFSETS[random.below(OFFSETS.len())]),
            _ if is_executor && drawn < CLOCK_PERCENT + LACKS_PROGRAM_PERCENT => Self::LacksProgram,
            _ if is_executor && drawn < CLOCK_PERCENT + LACKS_PROGRAM_PERCENT + FEW_FILES_PERCENT => Self::FewFiles,
            _ => Self::Well,
        }
    }

    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Well => None,
            Self::LacksProgram => Some(Self::LACKS_PROGRAM),
            Self::FewFiles => Some(Self::FEW_FILES),
            Self::Clock(_) => Some(Self::CLOCK),
        }
    }

    /// The worker in this condition; `lacking` are settings that name a program that there is not.
    pub fn apply(self, mut worker: Command, lacking: &Path) -> Result<Command, String> {
        match self {
            Self::Well => {}
            Self::LacksProgram => _ = worker.env("TRIREME_CONFIG", lacking),
            Self::Clock(offset) => {
                let library = faketime().ok_or("no libfaketime is installed here: apt-get install faketime")?;
                worker.env("LD_PRELOAD", library).env("FAKETIME", offset).env("DONT_FAKE_MONOTONIC", "1");
            }
            Self::FewFiles => {
                let mut limited = Command::new("sh");
                limited.arg("-c").arg(format!("ulimit -n {FILES}; exec \"$0\" \"$@\"")).arg(worker.get_program());
                limited.args(worker.get_args());
                worker.get_envs().for_each(|(name, value)| match value {
                    Some(value) => _ = limited.env(name, value),
                    None => _ = limited.env_remove(name),
                });
                worker.get_current_dir().map(|folder| limited.current_dir(folder));
                return Ok(limited);
            }
        }
        Ok(worker)
    }
}

fn faketime() -> Option<PathBuf> {
    FAKETIME.iter().map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executors_have_each_condition_and_owners_only_clocks() {
        let mut random = Random::new(7);
        let mut words = |layer: &str| {
            let drawn = (0..1_000).filter_map(|_| Condition::of(layer, &mut random).word());
            drawn.collect::<std::collections::BTreeSet<_>>()
        };
        let all = [Condition::LACKS_PROGRAM, Condition::FEW_FILES, Condition::CLOCK];
        assert_eq!(words("executor"), all.into());
        assert_eq!(words("manager"), [Condition::CLOCK].into());
    }
}
