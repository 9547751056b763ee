//! What a crash left, and what is done about it: first decided as a whole, then done.

use super::list::ListedFile;
use super::{StagedError, StagedNames};
use crate::IoError;
use crate::storage::Storage;

/// One change of the folder. Steps can be repeated after a crash between any two of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Finish a commit, or set a final file aside.
    Rename { from: String, to: String },
    /// Forget rows that will be made again.
    Remove { name: String },
}

/// For a start without a checkpoint: staged leftovers go, final files are not ours.
pub(super) fn fresh_start(
    storage: &dyn Storage,
    names: &StagedNames,
) -> Result<Vec<Step>, StagedError> {
    let present = storage.list()?;
    let is_final = |name: &&String| names.final_generation(name).is_some();
    if let Some(first_file) = present.iter().find(is_final) {
        return Err(StagedError::OtherRun {
            location: storage.location(),
            file_count: present.iter().filter(is_final).count(),
            first_file: first_file.clone(),
        });
    }
    let leftovers = present.into_iter().filter(|name| names.is_staged(name));
    Ok(leftovers.map(|name| Step::Remove { name }).collect())
}

/// For a restored checkpoint of `generation` that lists `listed`.
pub(super) fn restored(
    storage: &dyn Storage,
    names: &StagedNames,
    generation: u64,
    listed: &[ListedFile],
) -> Result<Vec<Step>, StagedError> {
    let mut present = storage.list()?;
    let mut steps = Vec::new();
    for name in present.clone() {
        if names
            .final_generation(&name)
            .is_some_and(|found| found > generation)
        {
            set_aside(name, &mut present, &mut steps);
        }
    }
    for file in listed {
        finish(storage, file, &mut present, &mut steps)?;
    }
    let leftovers = present.into_iter().filter(|name| names.is_staged(name));
    steps.extend(leftovers.map(|name| Step::Remove { name }));
    Ok(steps)
}

/// Decides about one listed file, given what will be `present` after the steps so far.
fn finish(
    storage: &dyn Storage,
    file: &ListedFile,
    present: &mut Vec<String>,
    steps: &mut Vec<Step>,
) -> Result<(), StagedError> {
    let ListedFile {
        staged_name,
        final_name,
        ..
    } = file;
    let has_final = present.contains(final_name);
    if has_final && file.is_whole(storage, final_name)? {
        return Ok(());
    }
    if !present.contains(staged_name) {
        return Err(if has_final {
            damaged(storage, file, final_name)?
        } else {
            StagedError::Missing {
                location: storage.location(),
                staged_file: staged_name.clone(),
                final_file: final_name.clone(),
            }
        });
    }
    if !file.is_whole(storage, staged_name)? {
        return Err(damaged(storage, file, staged_name)?);
    }
    if has_final {
        // Other rows under this name: whoever put them there, they are not deleted.
        set_aside(final_name.clone(), present, steps);
    }
    present.retain(|name| name != staged_name);
    steps.push(Step::Rename {
        from: staged_name.clone(),
        to: final_name.clone(),
    });
    Ok(())
}

fn set_aside(final_name: String, present: &mut Vec<String>, steps: &mut Vec<Step>) {
    let to = StagedNames::retracted_name(&final_name, present);
    present.retain(|name| *name != final_name);
    present.push(to.clone());
    steps.push(Step::Rename {
        from: final_name,
        to,
    });
}

fn damaged(
    storage: &dyn Storage,
    file: &ListedFile,
    name: &str,
) -> Result<StagedError, StagedError> {
    let (found_bytes, found_crc) = file.measure(storage, name)?;
    Ok(StagedError::Damaged {
        location: storage.location(),
        file: name.to_owned(),
        expected_bytes: file.length_bytes,
        expected_crc: file.crc,
        found_bytes,
        found_crc,
    })
}

pub(super) fn apply(storage: &dyn Storage, steps: &[Step]) -> Result<(), IoError> {
    for step in steps {
        match step {
            Step::Rename { from, to } => storage.rename(from, to)?,
            Step::Remove { name } => storage.remove(name)?,
        }
    }
    // Also without a step: a rename that an earlier process made may not be durable yet.
    storage.sync_directory()
}
