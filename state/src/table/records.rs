//! Insert, replace and remove on bytes: a value lies beside its key, or in a page run where it is
//! too long for that.

use super::bucket::{self, Spot};
use super::geometry::{Geometry, ValueForm};
use super::hash_table::{Found, HashTable};
use super::shrink::Spotted;
use crate::arena::Arena;
use crate::error::StateError;
use crate::hash::{KeyHash, PATH_BITS_END};
use crate::key::KEY_BYTES_MAX;
use crate::page::PageId;
use crate::runs::{self, RUN_BYTES_MAX, Run};

/// Pages that one insertion can need beside a run: a directory page or node page and a sibling for
/// every path bit left.
const SPLIT_PAGES_MAX: usize = 2 * PATH_BITS_END as usize;

impl HashTable {
    /// The value bytes of a record.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the record refers to no run inside the arena.
    #[inline]
    pub(crate) fn value<'a>(
        &self,
        arena: &'a Arena,
        geometry: &Geometry,
        found: Found,
    ) -> Result<&'a [u8], StateError> {
        let bucket = self.bucket_of(arena, geometry, found.page);
        let (form, range) = bucket.stored(found.slot);
        match form {
            ValueForm::InPage(_) => Ok(&arena.page(found.page).0[range]),
            ValueForm::InRun => Ok(runs::bytes(arena, self.run(arena, found)?)),
        }
    }

    /// The value bytes of a record, all marked as changed.
    ///
    /// # Errors
    /// As [`HashTable::value`].
    #[inline(always)]
    pub(crate) fn value_mut<'a>(
        &self,
        arena: &'a mut Arena,
        geometry: &Geometry,
        found: Found,
    ) -> Result<&'a mut [u8], StateError> {
        let bucket = self.bucket_of(arena, geometry, found.page);
        let (form, range) = bucket.stored(found.slot);
        match form {
            ValueForm::InPage(0) => Ok(&mut []),
            ValueForm::InPage(bytes) => {
                let mask = geometry.value_mask(range.start, bytes);
                Ok(&mut arena.page_mut(found.page, mask).0[range])
            }
            ValueForm::InRun => self.run_mut(arena, found),
        }
    }

    #[cold]
    fn run_mut<'a>(&self, arena: &'a mut Arena, found: Found) -> Result<&'a mut [u8], StateError> {
        let run = self.run(arena, found)?;
        Ok(runs::bytes_mut(arena, run))
    }

    /// Overwrites eight bytes of a value, at an offset that is a multiple of eight.
    ///
    /// # Errors
    /// As [`HashTable::value`].
    pub(crate) fn write_word(
        &self,
        arena: &mut Arena,
        found: Found,
        at: usize,
        word: [u8; 8],
    ) -> Result<(), StateError> {
        let (form, range) = self.bucket(arena, found.page).stored(found.slot);
        let (page, offset) = match form {
            ValueForm::InPage(_) => (found.page, range.start + at),
            ValueForm::InRun => self.run(arena, found)?.place_of(at),
        };
        arena.write(page, offset, &word);
        Ok(())
    }

    /// The run of a record whose value lies in one.
    #[cold]
    fn run(&self, arena: &Arena, found: Found) -> Result<Run, StateError> {
        let (_, range) = self.bucket(arena, found.page).stored(found.slot);
        let reference = arena.page(found.page).array_at(range.start);
        Run::from_bytes(arena, found.page, reference)
    }

    /// Makes a record for a key that is not in the table and hands out its value bytes, zeroed or
    /// not; the caller writes them all.
    ///
    /// # Errors
    /// A key or value over the limits, or an exhausted budget; the table's content is unchanged.
    #[inline]
    pub(crate) fn insert<'a>(
        &self,
        arena: &'a mut Arena,
        hash: KeyHash,
        key: &[u8],
        value_bytes: usize,
    ) -> Result<&'a mut [u8], StateError> {
        let form = self.form(arena, key, value_bytes)?;
        match form {
            ValueForm::InPage(_) => {
                let (page, spot) = self.place(arena, hash, key, form)?;
                let range = spot.value_at()..spot.value_at() + value_bytes;
                Ok(&mut arena.pages[page.index()].0[range])
            }
            ValueForm::InRun => {
                let run = runs::allocate(arena, value_bytes)?;
                self.place_run(arena, hash, key, run)?;
                Ok(runs::bytes_mut(arena, run))
            }
        }
    }

    /// Makes a record without its value, whose lines are marked.
    #[inline]
    fn place(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        form: ValueForm,
    ) -> Result<(PageId, Spot), StateError> {
        let (page, spot) = self.find_spot(arena, hash, key.len(), form)?;
        let target = arena.page_mut(page, spot.mask());
        bucket::insert(target, &self.geometry, &spot, hash, key);
        self.count(arena, hash, 1);
        Ok((page, spot))
    }

    /// Makes a record that refers to `run`; without room for it the run is given back.
    fn place_run(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        run: Run,
    ) -> Result<(), StateError> {
        let placed = self.place(arena, hash, key, ValueForm::InRun);
        let (page, spot) = placed.inspect_err(|_| runs::free(arena, run))?;
        arena.pages[page.index()].put(spot.value_at(), &run.to_bytes());
        Ok(())
    }

    /// How a record keeps a value, if that is within the limits.
    fn form(&self, arena: &Arena, key: &[u8], value_bytes: usize) -> Result<ValueForm, StateError> {
        if key.len() > KEY_BYTES_MAX {
            return Err(StateError::KeyTooLong {
                table: self.name(arena),
                found_bytes: key.len(),
                max_bytes: KEY_BYTES_MAX,
            });
        }
        self.check_value(arena, value_bytes)?;
        Ok(self.geometry.form(key.len(), value_bytes))
    }

    /// # Errors
    /// [`StateError::ValueTooLong`] if no record can hold so many bytes.
    pub(crate) fn check_value(&self, arena: &Arena, value_bytes: usize) -> Result<(), StateError> {
        if value_bytes <= RUN_BYTES_MAX {
            return Ok(());
        }
        Err(StateError::ValueTooLong {
            table: self.name(arena),
            found_bytes: value_bytes,
            max_bytes: RUN_BYTES_MAX,
        })
    }

    /// Replaces a record's value. Pages are kept where the value keeps its length, or its run its
    /// size class; then only lines that differ are marked.
    ///
    /// # Errors
    /// A value over the limit, or an exhausted budget; the old value is unchanged.
    pub(crate) fn replace(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        found: Found,
        value: &[u8],
    ) -> Result<(), StateError> {
        let form = self.form(arena, key, value.len())?;
        let (old_form, range) = self.bucket(arena, found.page).stored(found.slot);
        match (old_form, form) {
            (ValueForm::InPage(old), ValueForm::InPage(new)) if old == new => {
                if new > 0 {
                    arena.write(found.page, range.start, value);
                }
                Ok(())
            }
            (ValueForm::InRun, ValueForm::InRun) => self.replace_run(arena, found, value),
            _ => self.replace_record(arena, hash, key, found, value),
        }
    }

    fn replace_run(&self, arena: &mut Arena, found: Found, value: &[u8]) -> Result<(), StateError> {
        let old = self.run(arena, found)?;
        let new = match runs::resized(old, value.len()) {
            Some(same_pages) => {
                runs::replace(arena, same_pages, value);
                same_pages
            }
            None => {
                let new = runs::allocate(arena, value.len())?;
                runs::bytes_mut(arena, new).copy_from_slice(value);
                runs::free(arena, old);
                new
            }
        };
        if new != old {
            let (_, range) = self.bucket(arena, found.page).stored(found.slot);
            arena.write(found.page, range.start, &new.to_bytes());
        }
        Ok(())
    }

    /// Replaces a record by one of another size. The old one goes only when the new one is sure to
    /// find its place.
    fn replace_record(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        found: Found,
        value: &[u8],
    ) -> Result<(), StateError> {
        if arena.available_pages() < SPLIT_PAGES_MAX {
            return Err(arena.exhausted());
        }
        match self.geometry.form(key.len(), value.len()) {
            ValueForm::InPage(_) => {
                self.remove(arena, hash, found)?;
                self.insert(arena, hash, key, value.len())?
                    .copy_from_slice(value);
                Ok(())
            }
            ValueForm::InRun => {
                let run = runs::allocate(arena, value.len())?;
                if arena.available_pages() < SPLIT_PAGES_MAX {
                    runs::free(arena, run);
                    return Err(arena.exhausted());
                }
                runs::bytes_mut(arena, run).copy_from_slice(value);
                self.remove(arena, hash, found)?;
                self.place_run(arena, hash, key, run)
            }
        }
    }

    /// Removes a record and gives back what it held.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the record refers to no run inside the arena.
    pub(crate) fn remove(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        found: Found,
    ) -> Result<(), StateError> {
        if self
            .bucket(arena, found.page)
            .run_reference(found.slot)
            .is_some()
        {
            let run = self.run(arena, found)?;
            runs::free(arena, run);
        }
        let page = arena.page_mut(found.page, bucket::remove_mask(found.slot));
        bucket::remove(page, &self.geometry, found.slot);
        if self.geometry.fixed.is_some() {
            // `Bucket::holds` looks at the key alone, whose bytes stay.
            arena.raise_layout_version();
        }
        self.count(arena, hash, -1);
        if self.bucket(arena, found.page).is_sparse() {
            let at = Spotted {
                group: self.group(hash),
                path: self.owned.groups.path_of(hash),
            };
            self.shrink(arena, at, found.page);
        }
        Ok(())
    }
}
