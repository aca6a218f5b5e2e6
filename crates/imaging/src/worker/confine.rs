//! What a decoding process takes from itself before it reads a byte from outside; none of it can be given back.
//!
//! ```text
//! everywhere on Unix   address space and processor time per file; no files opened or written, no core dump
//! Linux                no new privileges, not to be traced; Landlock: no path at all; seccomp: memory, threads, clock, its pipes
//! ```
//! What a system lacks is told to the client as a note; a protection that exists and fails is an error.

use std::io::Result;

/// Limits that hold while one file is decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    /// Address space of the whole process, in bytes.
    pub(super) memory_bytes: u64,
    /// Processor time from now on, in seconds.
    pub(super) cpu_seconds: u64,
}

#[cfg(unix)]
mod unix {
    use super::Allowance;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use rustix::time::{ClockId, clock_gettime};
    use std::fs::File;
    use std::io::Result;

    /// The pipe to the client, out of reach of whatever prints to standard output.
    pub(in crate::worker) fn take_output() -> Result<File> {
        let output = rustix::io::dup(rustix::stdio::stdout())?;
        rustix::stdio::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
        Ok(File::from(output))
    }

    /// Nothing may be opened or written to disk any more.
    pub(super) fn confine() -> Result<()> {
        for resource in [Resource::Core, Resource::Fsize, Resource::Nofile] {
            setrlimit(resource, Rlimit { current: Some(0), maximum: Some(0) })?;
        }
        Ok(())
    }

    /// Sets the limits for the next file.
    pub(in crate::worker) fn allow(allowance: Allowance) -> Result<()> {
        let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or(0);
        // The clock counts whole seconds: one more than what was used up may be a moment away.
        let cpu = used.saturating_add(allowance.cpu_seconds).saturating_add(1);
        for (resource, limit) in [(Resource::As, allowance.memory_bytes), (Resource::Cpu, cpu)] {
            let maximum = getrlimit(resource).maximum;
            let current = maximum.map_or(limit, |maximum| limit.min(maximum));
            setrlimit(resource, Rlimit { current: Some(current), maximum })?;
        }
        Ok(())
    }
}

#[cfg(unix)]
pub(super) use unix::{allow, take_output};

#[cfg(not(unix))]
pub(super) fn take_output() -> Result<std::io::Stdout> {
    Ok(std::io::stdout())
}

#[cfg(not(unix))]
pub(super) fn allow(_: Allowance) -> Result<()> {
    Ok(())
}

/// Confines this process as far as the system can; gives what it cannot, in words.
pub(super) fn confine() -> Result<Vec<String>> {
    #[cfg(target_os = "linux")]
    return linux::confine();
    #[cfg(all(unix, not(target_os = "linux")))]
    return unix::confine().map(|()| vec!["decoding processes have no system call filter: this is not Linux".into()]);
    #[cfg(not(unix))]
    return Ok(vec!["decoding processes have no limits but time: this is not a Unix system".into()]);
}

#[cfg(target_os = "linux")]
mod linux {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus, Scope,
    };
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    use rustix::thread::set_no_new_privs;
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
        TargetArch,
    };
    use std::collections::BTreeMap;
    use std::io::{Error, Result};

    /// System calls that decoding needs: memory, its pipes, threads, clocks, ending. No paths, no network, no processes.
    const ALLOWED: [libc::c_long; 32] = [
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_lseek,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_getrusage,
    ];

    pub(super) fn confine() -> Result<Vec<String>> {
        set_no_new_privs(true)?;
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        let landlock = landlock()?; // Before the limit on files: a rule set is one for a moment.
        super::unix::confine()?;
        let seccomp = seccomp()?;
        Ok(landlock.into_iter().chain(seccomp).collect())
    }

    /// Forbids every path, every TCP port, and signals to others, as far as the kernel knows how.
    fn landlock() -> Result<Option<String>> {
        let restricted = || -> std::result::Result<RulesetStatus, landlock::RulesetError> {
            let rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
            let rules =
                rules.handle_access(AccessFs::from_all(ABI::V5))?.handle_access(AccessNet::from_all(ABI::V5))?;
            let rules = rules.scope(Scope::from_all(ABI::V6))?.create()?;
            Ok(rules.restrict_self()?.ruleset)
        };
        Ok(match restricted().map_err(Error::other)? {
            RulesetStatus::FullyEnforced => None,
            RulesetStatus::PartiallyEnforced => {
                Some("Landlock knows only some of its rules on this kernel".to_string())
            }
            RulesetStatus::NotEnforced => Some("Landlock is not there on this kernel".to_string()),
        })
    }

    /// Every other system call fails as if the kernel had none of that number. Threads are allowed (a JPEG decoder has some),
    /// processes are not: `clone3`, whose flags a filter cannot see, is not there, and C libraries then take `clone`.
    fn seccomp() -> Result<Option<String>> {
        let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
            return Ok(Some("no system call filter is made for this processor".to_string()));
        };
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
        // Signals and limits, but of this process alone.
        let first = |operator, value: u64| -> std::result::Result<Vec<SeccompRule>, seccompiler::BackendError> {
            let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, operator, value)?;
            Ok(vec![SeccompRule::new(vec![condition])?])
        };
        let thread = libc::CLONE_THREAD as u64;
        for (call, operator, value) in [
            (libc::SYS_tgkill, SeccompCmpOp::Eq, u64::from(std::process::id())),
            (libc::SYS_prlimit64, SeccompCmpOp::Eq, 0),
            (libc::SYS_clone, SeccompCmpOp::MaskedEq(thread), thread),
        ] {
            rules.insert(call, first(operator, value).map_err(Error::other)?);
        }
        let refuse = SeccompAction::Errno(libc::ENOSYS as u32);
        let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch).map_err(Error::other)?;
        let program: BpfProgram = filter.try_into().map_err(Error::other)?;
        match seccompiler::apply_filter(&program) {
            Ok(()) => Ok(None),
            // A kernel without filters, or a container that forbids to set one.
            Err(error) => Ok(Some(format!("no system call filter could be set: {error}"))),
        }
    }
}
