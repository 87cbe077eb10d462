//! What the operating system tells a simulated run: the same each time.
//!
//! Lives here: `getrandom` and `clock_gettime` of this process, which on a thread that runs a
//! simulation answer from its seed and its simulated time, and on all others ask the kernel.
//! Never here: chance for scenarios ([`super::Chance`]).
//!
//! Hash maps of the standard library begin with keys from the kernel, and what iterates over one
//! (requests by broker, offsets by partition) does so in another order each time. Whoever asks for
//! the time of day puts it into records, whose size depends on it. Neither can be handed in from
//! outside; so the two functions of the C library through which the standard library asks are
//! defined here, and the linker prefers them. On other systems than Linux a seed still decides what
//! goes wrong, but may not replay to the last event.

use std::cell::Cell;

/// Time of day at which each run begins: 2026-01-01T00:00:00Z.
pub(super) const BEGINNING_MS: i64 = 1_767_225_600_000;

thread_local! {
    /// State of the answers to `getrandom`; `None` on threads that run no simulation.
    static ENTROPY: Cell<Option<u64>> = const { Cell::new(None) };
    /// When the run on this thread began.
    static BEGAN: Cell<Option<tokio::time::Instant>> = const { Cell::new(None) };
}

/// Makes this thread one of a simulated run, for the rest of its life. Must come before its first
/// hash map.
pub(super) fn simulate(seed: u64) {
    ENTROPY.set(Some(seed));
}

/// The time of day runs with Tokio's clock from now on.
pub(super) fn begin() {
    BEGAN.set(Some(tokio::time::Instant::now()));
}

/// Since 1970, as everybody in the run sees it.
pub(super) fn now_ms() -> i64 {
    let since = match BEGAN.get() {
        Some(began) => began.elapsed().as_millis(),
        None => 0,
    };
    BEGINNING_MS + i64::try_from(since).unwrap_or(0)
}

#[cfg(target_os = "linux")]
mod interposed {
    use super::{BEGAN, ENTROPY, now_ms};
    use crate::simulation::Chance;

    /// # Safety
    /// As `getrandom(2)`: `buffer` points to `length` bytes that may be written.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn getrandom(
        buffer: *mut libc::c_void,
        length: libc::size_t,
        flags: libc::c_uint,
    ) -> libc::ssize_t {
        // While a thread ends, its locals are gone.
        let Ok(Some(seed)) = ENTROPY.try_with(Cell::get) else {
            // SAFETY: the arguments are the caller's, who promises what the system call asks for.
            return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) }
                as libc::ssize_t;
        };
        let mut chance = Chance::new(seed);
        for at in 0..length {
            // SAFETY: the caller promises `length` bytes.
            unsafe { buffer.cast::<u8>().add(at).write(chance.word() as u8) };
        }
        ENTROPY.set(Some(chance.word()));
        length as libc::ssize_t
    }

    /// # Safety
    /// As `clock_gettime(2)`: `time` points to a `timespec` that may be written.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn clock_gettime(
        clock: libc::clockid_t,
        time: *mut libc::timespec,
    ) -> libc::c_int {
        let simulated =
            clock == libc::CLOCK_REALTIME && BEGAN.try_with(Cell::get).is_ok_and(|at| at.is_some());
        if !simulated {
            // SAFETY: the arguments are the caller's, who promises what the system call asks for.
            return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as libc::c_int;
        }
        let now_ms = now_ms();
        // SAFETY: the caller promises one `timespec`; zero bytes are one.
        unsafe {
            time.write(std::mem::zeroed());
            (*time).tv_sec = now_ms.div_euclid(1000) as _;
            (*time).tv_nsec = (now_ms.rem_euclid(1000) * 1_000_000) as _;
        }
        0
    }

    use std::cell::Cell;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::collections::HashSet;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    fn order(seed: Option<u64>) -> Vec<u32> {
        let run = move || {
            if let Some(seed) = seed {
                super::simulate(seed);
            }
            let set: HashSet<u32> = (0..100).collect();
            set.into_iter().collect()
        };
        std::thread::spawn(run).join().expect("no panic")
    }

    #[test]
    fn hash_maps_have_the_order_of_the_seed() {
        assert_eq!(order(Some(1)), order(Some(1)));
        assert_ne!(order(Some(1)), order(Some(2)));
        assert_ne!(order(None), order(None));
    }

    #[test]
    fn the_time_of_day_runs_with_the_paused_clock() {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                super::begin();
                tokio::time::advance(Duration::from_millis(1500)).await;
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .expect("after 1970")
                    .as_millis()
            })
        };
        let now_ms = std::thread::spawn(run).join().expect("no panic");
        assert_eq!(now_ms, super::BEGINNING_MS as u128 + 1500);
        let real = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        assert_ne!(real.as_millis(), now_ms);
    }
}
