//! Page runs: values that are too large for a page, in pages with consecutive ids.
//!
//! A run is raw bytes without a header, so the kind bytes of its pages mean nothing: only the
//! record that holds the [`Run`] knows whose pages they are. Runs come in sixteen size classes. A
//! free run is linked into its class's list, whose head stands in the superblock; the list's fields
//! lie in the run's first line and the other lines are left as they are, so freeing costs one line.
//! Runs of one page are ordinary pages and use the ordinary free list.
//!
//! | of | offset | size | field |
//! |---|---|---|---|
//! | superblock | 36 | 4 | pages in free runs |
//! | superblock | 40 | 4 | pages in runs in use |
//! | superblock | 4032 | 4 each | first free run of a class, 0 = none |
//! | free run | 0 | 1 | kind `Free` |
//! | free run | 1 | 1 | class |
//! | free run | 4 | 4 | next free run of the class, 0 = none |
//! | reference | 0 | 4 | first page |
//! | reference | 4 | 4 | length in bytes, at least 1 |

use crate::arena::Arena;
use crate::error::StateError;
use crate::page::{PAGE_BYTES, PageId, PageKind};
use crate::superblock::{self, TABLE_BYTES, TABLES_AT, TABLES_MAX};

/// Pages of the runs of each class.
const CLASS_PAGES: [u32; 16] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];
/// Longest run: 1 MiB.
pub(crate) const RUN_BYTES_MAX: usize = CLASS_PAGES[15] as usize * PAGE_BYTES;
/// Bytes of a stored [`Run`].
pub(crate) const RUN_REFERENCE_BYTES: usize = 8;

const FREE_PAGES_AT: usize = 36;
const USED_PAGES_AT: usize = 40;
const LISTS_AT: usize = 4032;
const _: () = assert!(TABLES_AT + TABLES_MAX * TABLE_BYTES <= LISTS_AT);
const _: () = assert!(LISTS_AT + 4 * CLASS_PAGES.len() == PAGE_BYTES);
const _: () = assert!(FREE_PAGES_AT >= 36 && USED_PAGES_AT + 4 <= TABLES_AT);

const CLASS_AT: usize = 1;
const NEXT_AT: usize = 4;

/// What a record holds of its value in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: PageId,
    pub(crate) length: u32,
}

impl Run {
    pub(crate) fn to_bytes(self) -> [u8; RUN_REFERENCE_BYTES] {
        let mut bytes = [0; RUN_REFERENCE_BYTES];
        bytes[..4].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[4..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    /// The run that stored bytes refer to, once it is known to lie inside the arena.
    ///
    /// # Errors
    /// [`StateError::Damaged`] naming `holder`, the page in which the reference stands.
    pub(crate) fn from_bytes(
        arena: &Arena,
        holder: PageId,
        bytes: [u8; RUN_REFERENCE_BYTES],
    ) -> Result<Self, StateError> {
        let [a, b, c, d, e, f, g, h] = bytes;
        let run = Self {
            first: PageId(u32::from_le_bytes([a, b, c, d])),
            length: u32::from_le_bytes([e, f, g, h]),
        };
        let inside = run.length >= 1
            && run.length as usize <= RUN_BYTES_MAX
            && run.first != PageId::SUPERBLOCK
            && u64::from(run.first.0) + u64::from(run.page_count())
                <= u64::from(arena.page_count());
        if inside {
            return Ok(run);
        }
        Err(StateError::Damaged {
            page: holder.0,
            what: "run of a value",
            expected: format!(
                "1 to {RUN_BYTES_MAX} bytes in pages 1 to {}",
                arena.page_count() - 1
            ),
            found: format!("{} bytes from page {}", run.length, run.first.0),
        })
    }

    /// Pages that the run owns, those beyond its length included.
    pub(crate) fn page_count(self) -> u32 {
        CLASS_PAGES[class_of(self.length as usize)]
    }

    /// Page and offset of a byte of the run.
    pub(crate) fn place_of(self, at: usize) -> (PageId, usize) {
        assert!(at < self.length as usize, "at={at} in {self:?}");
        let page = u32::try_from(at / PAGE_BYTES).expect("at most 256 pages");
        (PageId(self.first.0 + page), at % PAGE_BYTES)
    }

    /// All pages that the run owns.
    pub(crate) fn pages(self) -> impl Iterator<Item = PageId> {
        (self.first.0..self.first.0 + self.page_count()).map(PageId)
    }
}

/// Smallest class that holds `length` bytes.
fn class_of(length: usize) -> usize {
    let pages = length.div_ceil(PAGE_BYTES);
    CLASS_PAGES.partition_point(|class_pages| (*class_pages as usize) < pages)
}

/// Makes a run of `length` bytes, 1 to [`RUN_BYTES_MAX`]. All of them count as written, and the
/// caller writes them all; what an earlier owner left behind them costs no delta.
///
/// # Errors
/// [`StateError::BudgetExhausted`] with nothing changed.
///
/// # Cost
/// Touches the pages of `length` bytes and no other: pages of the class beyond it keep what they
/// hold.
pub(crate) fn allocate(arena: &mut Arena, length: usize) -> Result<Run, StateError> {
    assert!(
        (1..=RUN_BYTES_MAX).contains(&length),
        "a run has 1 to {RUN_BYTES_MAX} bytes, found length={length}"
    );
    let class = class_of(length);
    let pages = CLASS_PAGES[class];
    let first = match class {
        0 => arena.take_page()?,
        _ => match take_free(arena, class) {
            Some(first) => first,
            None => arena.extend(pages as usize)?,
        },
    };
    arena.begin_run(first, length);
    add(arena, USED_PAGES_AT, i64::from(pages));
    Ok(Run {
        first,
        length: u32::try_from(length).expect("at most RUN_BYTES_MAX"),
    })
}

/// Gives a run back; its pages can be reused at once.
///
/// # Cost
/// Writes one line of the run and one of the superblock.
pub(crate) fn free(arena: &mut Arena, run: Run) {
    let class = class_of(run.length as usize);
    add(arena, USED_PAGES_AT, -i64::from(CLASS_PAGES[class]));
    push(arena, class, run.first);
}

/// The same run with another length, if its pages hold that too; what is new in it is undefined and
/// to be written by the caller.
pub(crate) fn resized(run: Run, length: usize) -> Option<Run> {
    let fits =
        (1..=RUN_BYTES_MAX).contains(&length) && class_of(length) == class_of(run.length as usize);
    fits.then(|| Run {
        length: u32::try_from(length).expect("at most RUN_BYTES_MAX"),
        ..run
    })
}

/// The bytes of a run.
pub(crate) fn bytes(arena: &Arena, run: Run) -> &[u8] {
    arena.pages.bytes(run.first.index(), run.length as usize)
}

/// All bytes of a run, marked as changed.
pub(crate) fn bytes_mut(arena: &mut Arena, run: Run) -> &mut [u8] {
    arena.run_bytes_mut(run.first, run.length as usize)
}

/// Replaces the bytes of a run by as many others, marking only the lines that differ.
pub(crate) fn replace(arena: &mut Arena, run: Run, bytes: &[u8]) {
    debug_assert_eq!(bytes.len(), run.length as usize);
    for (id, part) in run.pages().zip(bytes.chunks(PAGE_BYTES)) {
        arena.replace_prefix(id, part);
    }
}

/// A page out of the smallest free run, for callers who found no other.
pub(crate) fn take_single(arena: &mut Arena) -> Option<PageId> {
    take_free(arena, 0)
}

/// Pages in free runs: they can still be allocated.
pub(crate) fn free_page_count(arena: &Arena) -> u32 {
    arena.page(PageId::SUPERBLOCK).u32_at(FREE_PAGES_AT)
}

/// Pages in runs that hold values.
pub(crate) fn used_page_count(arena: &Arena) -> u32 {
    arena.page(PageId::SUPERBLOCK).u32_at(USED_PAGES_AT)
}

/// A run of the class: a free one, else the front of a larger free one.
fn take_free(arena: &mut Arena, class: usize) -> Option<PageId> {
    let (found, first) =
        (class..CLASS_PAGES.len()).find_map(|found| Some((found, pop(arena, found)?)))?;
    let mut rest = first.0 + CLASS_PAGES[class];
    let end = first.0 + CLASS_PAGES[found];
    while rest < end {
        let largest = CLASS_PAGES.partition_point(|pages| *pages <= end - rest) - 1;
        push(arena, largest, PageId(rest));
        rest += CLASS_PAGES[largest];
    }
    Some(first)
}

fn head_at(class: usize) -> usize {
    LISTS_AT + 4 * class
}

fn pop(arena: &mut Arena, class: usize) -> Option<PageId> {
    if class == 0 {
        return superblock::pop_free(arena);
    }
    let first = arena.page(PageId::SUPERBLOCK).u32_at(head_at(class));
    if first == 0 {
        return None;
    }
    let next = arena.page(PageId(first)).u32_at(NEXT_AT);
    superblock::put_u32(arena, head_at(class), next);
    add(arena, FREE_PAGES_AT, -i64::from(CLASS_PAGES[class]));
    Some(PageId(first))
}

fn push(arena: &mut Arena, class: usize, first: PageId) {
    if class == 0 {
        return superblock::push_free(arena, first);
    }
    let next = arena.page(PageId::SUPERBLOCK).u32_at(head_at(class));
    let page = arena.page_mut(first, 1);
    page.0[0] = PageKind::Free as u8;
    page.0[CLASS_AT] = u8::try_from(class).expect("sixteen classes");
    page.put(NEXT_AT, &next.to_le_bytes());
    superblock::put_u32(arena, head_at(class), first.0);
    add(arena, FREE_PAGES_AT, i64::from(CLASS_PAGES[class]));
}

fn add(arena: &mut Arena, counter_at: usize, change: i64) {
    let count = arena.page(PageId::SUPERBLOCK).u32_at(counter_at);
    let changed = u32::try_from(i64::from(count) + change)
        .expect("runs are counted when they are made and when they are freed");
    superblock::put_u32(arena, counter_at, changed);
}

/// Visits every page of every free run.
///
/// # Errors
/// The first link that leads to no free run of its class, or what `visit` refuses; a wrong count.
pub(crate) fn check_free(
    arena: &Arena,
    mut visit: impl FnMut(PageId) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let mut counted = 0u64;
    let damaged = |page: u32, what, expected: String, found: String| StateError::Damaged {
        page,
        what,
        expected,
        found,
    };
    for (class, pages) in CLASS_PAGES.into_iter().enumerate() {
        let mut next = arena.page(PageId::SUPERBLOCK).u32_at(head_at(class));
        while next != 0 {
            let found = (u64::from(next) + u64::from(pages) <= u64::from(arena.page_count()))
                .then(|| arena.page(PageId(next)))
                .filter(|page| {
                    page.is_kind(PageKind::Free) && usize::from(page.u8_at(CLASS_AT)) == class
                });
            let Some(first) = found.filter(|_| class != 0) else {
                let expected = format!("a free run of {pages} pages inside the arena");
                return Err(damaged(next, "free run", expected, "none".to_owned()));
            };
            (next..next + pages).map(PageId).try_for_each(&mut visit)?;
            counted += u64::from(pages);
            next = first.u32_at(NEXT_AT);
        }
    }
    let expected = u64::from(free_page_count(arena));
    if counted != expected {
        let (expected, found) = (expected.to_string(), counted.to_string());
        return Err(damaged(0, "pages in free runs", expected, found));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_cases::cases;
    use crate::{CaptureStatus, StagingSize, Store, StoreConfig};

    fn store(page_bytes: u64) -> Store {
        let staging = StagingSize {
            chunk_count: 40,
            chunk_bytes: 64 << 10,
        };
        let config = StoreConfig {
            budget_bytes: StoreConfig::budget_for_pages(page_bytes / PAGE_BYTES as u64, staging),
            staging,
            ..StoreConfig::default()
        };
        Store::new(&config).expect("reserved")
    }

    fn pattern(seed: u32, length: usize) -> Vec<u8> {
        (0..length)
            .map(|at| u8::try_from((seed as usize + at / 7) % 251).expect("a byte"))
            .collect()
    }

    fn capture_all(store: &mut Store) -> usize {
        store.freeze();
        while store.capture(1 << 20) != CaptureStatus::Done {}
        let mut line_bytes = 0;
        while let Some(chunk) = store.take_chunk() {
            line_bytes += chunk.body_bytes() - 16 * chunk.page_count() as usize;
            store.give_chunk(chunk);
        }
        store.forget_snapshot();
        line_bytes
    }

    #[test]
    fn every_length_gets_the_smallest_class_that_holds_it() {
        for length in 1..=RUN_BYTES_MAX {
            let class = class_of(length);
            assert!(CLASS_PAGES[class] as usize * PAGE_BYTES >= length);
            assert!(class == 0 || (CLASS_PAGES[class - 1] as usize) * PAGE_BYTES < length);
        }
    }

    #[test]
    fn a_freed_run_is_reused_exactly_then_split_then_the_arena_grows() {
        let mut store = store(16 << 20);
        let arena = store.arena_mut();
        let large = allocate(arena, 12 * PAGE_BYTES).expect("fits");
        let small = allocate(arena, 3 * PAGE_BYTES).expect("fits");
        let end = arena.page_count();
        free(arena, large);
        free(arena, small);
        let again = allocate(arena, 2 * PAGE_BYTES + 1).expect("fits");
        assert_eq!(again.first, small.first);
        let split = allocate(arena, 5 * PAGE_BYTES).expect("fits");
        assert_eq!((split.first, split.page_count()), (large.first, 6));
        let rest = allocate(arena, 6 * PAGE_BYTES).expect("fits");
        assert_eq!(rest.first.0, large.first.0 + 6);
        assert_eq!(arena.page_count(), end);
        assert_eq!(allocate(arena, 2 * PAGE_BYTES).expect("fits").first.0, end);
    }

    #[test]
    fn a_new_run_costs_its_written_lines_and_a_freed_one_a_line() {
        let mut store = store(16 << 20);
        capture_all(&mut store);
        let mut run = allocate(store.arena_mut(), 5 * PAGE_BYTES).expect("fits");
        bytes_mut(store.arena_mut(), run).fill(7);
        assert_eq!(capture_all(&mut store), 5 * PAGE_BYTES + 64);
        free(store.arena_mut(), run);
        assert_eq!(capture_all(&mut store), 64 + 2 * 64);
        for _ in 0..3 {
            run = allocate(store.arena_mut(), 4 * PAGE_BYTES + 100).expect("fits");
            bytes_mut(store.arena_mut(), run).fill(9);
            free(store.arena_mut(), run);
        }
        run = allocate(store.arena_mut(), 4 * PAGE_BYTES + 100).expect("fits");
        bytes_mut(store.arena_mut(), run).fill(9);
        assert_eq!(capture_all(&mut store), 4 * PAGE_BYTES + 128 + 2 * 64);
        let mut changed = bytes(store.arena(), run).to_vec();
        changed[PAGE_BYTES - 1] = 1;
        changed[PAGE_BYTES] = 1;
        replace(store.arena_mut(), run, &changed);
        assert_eq!(bytes(store.arena(), run), changed);
        assert_eq!(capture_all(&mut store), 2 * 64);
    }

    #[test]
    fn pages_come_out_of_free_runs_when_the_budget_is_used_up() {
        let mut store = store(1 << 20);
        let arena = store.arena_mut();
        let run = allocate(arena, 192 * PAGE_BYTES).expect("fits");
        let refused = allocate(arena, 64 * PAGE_BYTES).expect_err("too large");
        assert!(matches!(refused, StateError::BudgetExhausted { .. }));
        while arena.extend(1).is_ok() {}
        free(arena, run);
        let before = arena.available_pages();
        assert_eq!(before, 192);
        for left in (0..before).rev() {
            arena.allocate(PageKind::Bucket).expect("a page of the run");
            assert_eq!(arena.available_pages(), left);
        }
        arena.allocate(PageKind::Bucket).expect_err("none left");
    }

    proptest! {
        #![proptest_config(cases(48))]

        /// Runs never overlap and keep their bytes, whatever is allocated and freed around them.
        #[test]
        fn runs_keep_their_bytes(steps in prop::collection::vec(
            (any::<bool>(), 1..60 * PAGE_BYTES, any::<prop::sample::Index>()), 1..60
        )) {
            let mut store = store(32 << 20);
            let mut held: Vec<(Run, Vec<u8>)> = Vec::new();
            let mut pages = std::collections::HashSet::new();
            for (index, (make, length, which)) in steps.into_iter().enumerate() {
                if make || held.is_empty() {
                    let run = allocate(store.arena_mut(), length).expect("within the budget");
                    let content = pattern(u32::try_from(index).expect("few"), length);
                    bytes_mut(store.arena_mut(), run).copy_from_slice(&content);
                    for page in run.pages() {
                        prop_assert!(pages.insert(page), "{page:?} is in two runs");
                    }
                    held.push((run, content));
                } else {
                    let (run, content) = held.swap_remove(which.index(held.len()));
                    prop_assert_eq!(bytes(store.arena(), run), &content);
                    free(store.arena_mut(), run);
                    run.pages().for_each(|page| assert!(pages.remove(&page)));
                }
                if index % 8 == 0 {
                    capture_all(&mut store);
                }
            }
            for (run, content) in &held {
                prop_assert_eq!(bytes(store.arena(), *run), content);
            }
            prop_assert_eq!(used_page_count(store.arena()) as usize, pages.len());
            held.into_iter().for_each(|(run, _)| free(store.arena_mut(), run));
            store.verify().expect("sound when all runs are free");
        }
    }

    #[test]
    fn a_run_changes_its_length_within_its_class_only() {
        let run = Run {
            first: PageId(5),
            length: 4 * 4096 + 1,
        };
        let longer = resized(run, 6 * 4096).expect("the class has six pages");
        assert_eq!((longer.first, longer.length), (run.first, 6 * 4096));
        assert_eq!(resized(run, 4 * 4096), None);
        assert_eq!(resized(run, 6 * 4096 + 1), None);
        assert_eq!(resized(run, 0), None);
    }

    #[test]
    fn a_reference_outside_the_arena_is_damage() {
        let mut store = store(1 << 20);
        let arena = store.arena_mut();
        let run = allocate(arena, 2 * PAGE_BYTES).expect("fits");
        let holder = PageId(9);
        let same = Run::from_bytes(arena, holder, run.to_bytes()).expect("its own bytes");
        assert_eq!(same, run);
        for (first, length) in [
            (0, 1),
            (1, 0),
            (u32::MAX, 1),
            (1, u32::MAX),
            (run.first.0, 8193),
        ] {
            let bad = Run {
                first: PageId(first),
                length,
            };
            let error = Run::from_bytes(arena, holder, bad.to_bytes()).expect_err("outside");
            assert!(error.to_string().contains("page=9"), "{error}");
        }
    }

    #[test]
    fn a_free_list_that_leads_astray_is_damage() {
        for (offset, value) in [(0, 7u8), (CLASS_AT, 9), (NEXT_AT + 3, 0xff), (NEXT_AT, 1)] {
            let mut store = store(1 << 20);
            let arena = store.arena_mut();
            let run = allocate(arena, 2 * PAGE_BYTES).expect("fits");
            free(arena, run);
            store.verify().expect("sound");
            store.arena_mut().write(run.first, offset, &[value]);
            let error = store.verify().expect_err("damaged");
            assert!(matches!(error, StateError::Damaged { .. }), "{error}");
        }
    }
}
