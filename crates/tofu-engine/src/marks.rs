//! Marks on the paths that only faults and tight limits take, to see that the simulator takes each.
//!
//! Only with the feature `marks`; without it every `mark!` is nothing. A name stands for one place
//! in the code; `tofu-testkit` lists all of them, and its tests compare that list with the sources.

/// Counts that this path was taken; `$desk` is the core's desk.
#[cfg(feature = "marks")]
macro_rules! mark {
    ($desk:expr, $name:literal) => {
        $desk.shared.counters.marks.hit($name)
    };
}

/// Nobody counts.
#[cfg(not(feature = "marks"))]
macro_rules! mark {
    ($desk:expr, $name:literal) => {{
        let _ = &$desk.shared;
    }};
}

#[cfg(feature = "marks")]
mod counts {
    use std::collections::BTreeMap;

    use crate::driver::Handle;
    use crate::sync::Mutex;

    /// How often which path was taken.
    #[derive(Debug, Default)]
    pub(crate) struct Marks {
        counts: Mutex<BTreeMap<&'static str, u64>>,
    }

    impl Marks {
        pub(crate) fn hit(&self, name: &'static str) {
            *self.counts.lock().entry(name).or_default() += 1;
        }
    }

    impl Handle {
        /// Which of the paths that only faults and tight limits take were taken, and how often. For
        /// tests of tofu itself.
        #[doc(hidden)]
        #[must_use]
        pub fn marks(&self) -> Vec<(&'static str, u64)> {
            let counts = self.shared.counters.marks.counts.lock();
            counts.iter().map(|(&name, &count)| (name, count)).collect()
        }

        /// How often one of them was taken.
        #[doc(hidden)]
        #[must_use]
        pub fn mark(&self, name: &str) -> u64 {
            let counts = self.shared.counters.marks.counts.lock();
            counts.get(name).copied().unwrap_or(0)
        }
    }
}

#[cfg(feature = "marks")]
pub(crate) use counts::Marks;
