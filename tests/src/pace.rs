//! Time limits: longer on a slow machine.

use std::sync::OnceLock;
use std::time::Duration;

/// The boot time of a guest on the machines on which the times in the checks were chosen.
const USUAL_BOOT: Duration = Duration::from_secs(6);

/// The factor by which this machine is slower; one process makes one check, so there is one number.
static PACE: OnceLock<f64> = OnceLock::new();

/// The factor by which a guest is slower than usual, by its boot time.
pub fn of_boot(took: Duration) -> f64 {
    (took.as_secs_f64() / USUAL_BOOT.as_secs_f64()).max(1.0)
}

/// Sets the pace of this process.
pub fn set(pace: f64) {
    // The first one stays.
    let _ = PACE.set(pace);
}

/// `usual` seconds on the usual machine, longer on a slower one.
pub fn seconds(usual: u64) -> Duration {
    Duration::from_secs(usual).mul_f64(*PACE.get_or_init(|| 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_machine_is_given_no_less_time() {
        assert_eq!(of_boot(USUAL_BOOT / 2), 1.0);
        assert_eq!(of_boot(USUAL_BOOT * 3), 3.0);
    }
}
