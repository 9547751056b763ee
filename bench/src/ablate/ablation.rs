//! The mechanisms, and what stands in their place.

use crate::measure_error::MeasureError;
use crate::workload::Engine;
use frazil::DriverChoice;
use frazil::storage::WriteMode;

/// How one side of a pair is set up; by default as the design has it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Setup {
    pub(super) engine: Engine,
    pub(super) write_mode: WriteMode,
}

/// A mechanism that can be left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ablation {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// What the design does.
    pub(super) with: &'static str,
    /// What is done without.
    pub(super) without: &'static str,
    change: fn(&mut Setup),
    /// Whether the design's side needs glommio.
    pub(super) needs_glommio: bool,
}

impl Ablation {
    /// The setup without the mechanism.
    pub(super) fn without(&self) -> Setup {
        let mut setup = Setup::default();
        (self.change)(&mut setup);
        setup
    }
}

/// All of them, in the order of the table.
pub(super) const ABLATIONS: [Ablation; 6] = [
    Ablation {
        name: "prefetch",
        with: "records are found, and their lines loaded, two runs ahead",
        without: "each record is searched for when it is used",
        change: |setup| setup.engine.tuning.state.look_ahead = false,
        needs_glommio: false,
    },
    Ablation {
        name: "lines",
        with: "changes are tracked and captured by the cache line",
        without: "by the page",
        change: |setup| setup.engine.tuning.state.whole_pages = true,
        needs_glommio: false,
    },
    Ablation {
        name: "direct",
        with: "segments are written by vectored direct I/O",
        without: "through memory-mapped windows",
        change: |setup| setup.write_mode = WriteMode::Mapped,
        needs_glommio: false,
    },
    Ablation {
        name: "huge-pages",
        with: "state lies in huge pages",
        without: "in small ones",
        change: |setup| setup.engine.tuning.state.huge_pages = false,
        needs_glommio: false,
    },
    Ablation {
        name: "pacing",
        with: "frozen lines are captured in slices between records",
        without: "all at once, as far as staging reaches",
        change: |setup| setup.engine.tuning.paced_capture = false,
        needs_glommio: false,
    },
    Ablation {
        name: "driver",
        with: "shards run on io_uring",
        without: "on plain pinned threads",
        change: |setup| setup.engine.driver = DriverChoice::Thread,
        needs_glommio: true,
    },
];

/// Those that are asked for; all if none is named.
///
/// # Errors
///
/// [`MeasureError::UnknownAblation`].
pub(super) fn wanted(only: &[String]) -> Result<Vec<Ablation>, MeasureError> {
    for name in only {
        if !ABLATIONS.iter().any(|ablation| ablation.name == name) {
            return Err(MeasureError::UnknownAblation {
                found: name.clone(),
                known: ABLATIONS.map(|ablation| ablation.name).join(", "),
            });
        }
    }
    let all = ABLATIONS.into_iter();
    let is_wanted =
        |ablation: &Ablation| only.is_empty() || only.iter().any(|name| name == ablation.name);
    Ok(all.filter(is_wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ablation_changes_one_thing() {
        let design = format!("{:?}", Setup::default());
        let mut seen = vec![design.clone()];
        for ablation in ABLATIONS {
            let without = format!("{:?}", ablation.without());
            assert_eq!(
                without.split(", ").count(),
                design.split(", ").count(),
                "same fields"
            );
            let differences = without.split(", ").zip(design.split(", "));
            let count = differences.filter(|(a, b)| a != b).count();
            assert_eq!(count, 1, "{}: {without}", ablation.name);
            assert!(!seen.contains(&without), "{}", ablation.name);
            seen.push(without);
        }
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let only = |name: &str| wanted(&[name.to_owned()]);
        assert_eq!(only("lines").unwrap().len(), 1);
        assert_eq!(wanted(&[]).unwrap().len(), ABLATIONS.len());
        let error = only("magic").unwrap_err().to_string();
        assert!(
            error.contains("magic") && error.contains("huge-pages"),
            "{error}"
        );
    }
}
