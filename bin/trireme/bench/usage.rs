//! What processes of this machine have used, as Linux tells it in `/proc`.

use std::fs;

/// Of the clock in `/proc/PID/stat`: the same on every Linux that people run (`man 5 proc`, `sysconf(_SC_CLK_TCK)`).
const TICKS_PER_S: f64 = 100.0;

/// Seconds of a core, its children's that it has waited for among them; none where nobody knows.
pub fn cpu_s(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may have anything in it, comes field 3.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let ticks: u64 = (0..4).map(|_| fields.next()?.parse::<u64>().ok()).sum::<Option<u64>>()?;
    #[expect(clippy::cast_precision_loss, reason = "a century of ticks is exact")]
    Some(ticks as f64 / TICKS_PER_S)
}

/// The same of a process that has this name.
pub fn cpu_s_of(pid: u32, name: &str) -> Option<f64> {
    let found = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    (found.trim_end() == name).then(|| cpu_s(pid)).flatten()
}

/// Of this process.
pub fn own_cpu_s() -> Option<f64> {
    cpu_s(std::process::id())
}

/// Resident bytes, now and at the most so far.
pub fn resident(pid: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    };
    Some((bytes("VmRSS:")?, bytes("VmHWM:")?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_cpu_and_memory() {
        let began = own_cpu_s().expect("a figure");
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while own_cpu_s().expect("a figure") < began + 0.05 {
            assert!(std::time::Instant::now() < until, "it works, and uses nothing");
        }
        let (now, most) = resident(std::process::id()).expect("figures");
        assert!(now > 0 && most >= now, "{now} {most}");
        assert_eq!((cpu_s(u32::MAX), resident(u32::MAX)), (None, None));
    }
}
