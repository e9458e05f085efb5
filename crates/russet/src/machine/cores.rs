//! How many cores of which kind.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;
use sysinfo::System;

/// The cores of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cores {
    /// Hardware threads that this process may run on, by affinity and quota.
    pub available: usize,
    /// Cores, where the system says it.
    pub physical: Option<usize>,
    /// Of these, the fast ones, where there are two kinds.
    pub performance: Option<usize>,
    /// And the others.
    pub efficiency: Option<usize>,
}

impl Cores {
    /// Asks the system.
    pub fn find() -> Cores {
        let kinds = if cfg!(target_os = "macos") { mac_kinds() } else { linux_kinds() };
        Cores {
            available: std::thread::available_parallelism().map_or(1, usize::from),
            physical: System::physical_core_count().ok(),
            performance: kinds.map(|(performance, _)| performance),
            efficiency: kinds.map(|(_, efficiency)| efficiency),
        }
    }

    /// Threads that compute fastest together: two of one core share its vector units, and fast
    /// cores would wait for slow ones.
    pub fn threads(&self) -> usize {
        let cores = self.performance.or(self.physical).unwrap_or(self.available);
        cores.clamp(1, self.available.max(1))
    }
}

/// Performance and efficiency cores of an Apple processor.
fn mac_kinds() -> Option<(usize, usize)> {
    let level = |level: u32| {
        let name = format!("hw.perflevel{level}.physicalcpu");
        let output = Command::new("/usr/sbin/sysctl").args(["-n", &name]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    Some((level(0)?, level(1)?))
}

/// Two kinds of core as Linux tells them apart: by name on x86, by capacity on Arm.
fn linux_kinds() -> Option<(usize, usize)> {
    let list = |kind: &str| fs::read_to_string(format!("/sys/devices/{kind}/cpus")).ok();
    if let (Some(fast), Some(slow)) = (list("cpu_core"), list("cpu_atom")) {
        return Some((physical(&cpus(&fast)), cpus(&slow).len()));
    }
    let capacity = |cpu: usize| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpu_capacity");
        fs::read_to_string(path).ok()?.trim().parse::<u32>().ok()
    };
    by_capacity(&(0..).map_while(capacity).collect::<Vec<_>>())
}

/// Cores that have at least three quarters of the largest capacity, and the others.
pub(super) fn by_capacity(capacities: &[u32]) -> Option<(usize, usize)> {
    let largest = *capacities.iter().max()?;
    let fast = capacities.iter().filter(|&&capacity| capacity >= largest / 4 * 3).count();
    (fast < capacities.len()).then_some((fast, capacities.len() - fast))
}

/// How many cores these hardware threads are: each core's first thread is counted.
fn physical(threads: &[usize]) -> usize {
    let is_first = |cpu: &&usize| {
        let siblings = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        let siblings = fs::read_to_string(Path::new(&siblings)).unwrap_or_default();
        cpus(&siblings).first().is_none_or(|first| first == *cpu)
    };
    threads.iter().filter(is_first).count()
}

/// The numbers of a list such as `0-3,8`.
pub(super) fn cpus(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}
