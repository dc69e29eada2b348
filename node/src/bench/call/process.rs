//! What a process takes, as `/proc` tells.

use std::fs;
use std::time::Duration;

use crate::bench::BenchError;

/// Clock ticks in a second (`sysconf(_SC_CLK_TCK)`): 100 on every Linux that this runs on.
const TICKS: u32 = 100;

/// Processor time so far, of all threads.
pub(super) fn busy(pid: u32) -> Result<Duration, BenchError> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold blanks; user and system time are the 12th and 13th field behind it.
    let ticks: u32 = stat
        .rsplit_once(')')
        .map(|(_, rest)| {
            rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u32>().ok())
        })
        .map_or(0, Iterator::sum);
    Ok(Duration::from_secs(1) * ticks / TICKS)
}

/// The most resident memory since [`forget_peak`], in bytes.
pub(super) fn peak(pid: u32) -> Result<f64, BenchError> {
    let path = format!("/proc/{pid}/status");
    let status = read(&path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    Ok(kib.ok_or_else(|| BenchError::Unexpected(format!("{path} tells no peak")))? * 1_024.0)
}

/// From now on is the peak of what is to come.
pub(super) fn forget_peak(pid: u32) -> Result<(), BenchError> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").map_err(|error| BenchError::unexpected(&error))
}

fn read(path: &str) -> Result<String, BenchError> {
    fs::read_to_string(path).map_err(|error| BenchError::unexpected(&error))
}
