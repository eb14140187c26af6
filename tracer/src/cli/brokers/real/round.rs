//! A delivery of everything in a topic for its speed, without probes.

use std::{io, time::Duration};

use anyhow::Context;
use tracer_ledger::Round;

use super::{client::Messages, running::Running};

/// Makes it.
pub async fn timed(running: &mut Running, messages: &Messages) -> anyhow::Result<Round> {
    let pid = running.pid();
    let before = cpu_time(pid)?;
    let done = running.consume(messages).await?;
    let spent = cpu_time(pid)?.saturating_sub(before);
    Ok(Round { seconds: done.seconds, cpu_seconds: spent.as_secs_f64() })
}

/// The CPU time of a process until now, also of its threads that have ended.
fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let mut clock = 0;
    // SAFETY: the clock is written to a number of ours.
    let error = unsafe { libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error)).context("the broker has no CPU clock");
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written to a structure of ours.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error()).context("cannot read the CPU clock of the broker");
    }
    Ok(Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_time_of_a_process_grows() {
        let own = std::process::id();
        let before = cpu_time(own).unwrap();
        let mut sum = 0u64;
        while cpu_time(own).unwrap() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(cpu_time(own).unwrap() > before);
    }
}
