//! Pages whose checksums are right and whose content is not: `verify` finds it, or everything that
//! is read afterwards reads well.

use std::sync::OnceLock;

use frazil_state::format::{FrameAddress, FrameExpectation, read_frame};
use frazil_state::{
    CaptureStatus, KeyGroups, ListTable, MapTable, PAGE_BYTES, Restore, StagingSize, Store,
    StoreConfig, TimerTable, ValueTable, hash_key,
};

/// Bytes of one edit: page, what is done, where, and with what.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | page, modulo their number |
/// | 1 | 1 | what: 0 = put a byte, 1 = put a `u16`, 2 = put a `u32`, 3 = put another page over it |
/// | 2 | 2 | offset, modulo a page |
/// | 4 | 4 | value, or the number of the other page |
pub const EDIT_BYTES: usize = 8;

type Page = [u8; PAGE_BYTES];

/// A whole store with a table of each kind, and then edits of its pages.
pub fn pages(edits: &[u8]) {
    static WHOLE: OnceLock<Vec<Page>> = OnceLock::new();
    let mut pages = WHOLE.get_or_init(whole).clone();
    for edit in edits.as_chunks::<EDIT_BYTES>().0 {
        apply(edit, &mut pages);
    }
    if let Some(store) = restore(&pages)
        && store.verify().is_ok()
    {
        read_all(store);
    }
}

fn apply(edit: &[u8; EDIT_BYTES], pages: &mut [Page]) {
    let [page, what, at_low, at_high, value @ ..] = *edit;
    let page = usize::from(page) % pages.len();
    let at = usize::from(u16::from_le_bytes([at_low, at_high])) % PAGE_BYTES;
    let put = |pages: &mut [Page], length: usize| {
        let end = PAGE_BYTES.min(at + length);
        pages[page][at..end].copy_from_slice(&value[..end - at]);
    };
    match what % 4 {
        0 => put(pages, 1),
        1 => put(pages, 2),
        2 => put(pages, 4),
        _ => pages[page] = pages[u32::from_le_bytes(value) as usize % pages.len()],
    }
}

/// `chunk_count` chunks of staging: few make the store quickly.
fn config(chunk_count: usize) -> StoreConfig {
    let staging = StagingSize {
        chunk_count,
        chunk_bytes: 16 << 10,
    };
    StoreConfig {
        key_groups: KeyGroups::new(2),
        budget_bytes: StoreConfig::budget_for_pages(255, staging),
        staging,
        ..StoreConfig::default()
    }
}

fn restore(pages: &[Page]) -> Option<Store> {
    let page_count = u32::try_from(pages.len()).expect("few");
    let mut restore = Restore::new(&config(2), page_count).expect("fits");
    for (page_id, page) in (0..).zip(pages) {
        *restore.page_mut(page_id).expect("inside") = *page;
    }
    restore.finish().ok()
}

/// What a job does with a restored store: opens its tables and reads. Values that rkyv refuses are
/// errors, and so are the types.
fn read_all(mut store: Store) {
    let _ = store.dump();
    if let Ok(fixed) = ValueTable::<u64, u64>::open(&mut store, "fixed") {
        for key in 0..400u64 {
            let _ = fixed.get(&store, hash_key(&key), &key);
        }
    }
    if let Ok(texts) = ValueTable::<str, Vec<u8>>::open(&mut store, "texts") {
        for number in 0..60 {
            let key = text(number);
            let _ = texts.get(&store, hash_key(&*key), &key);
        }
    }
    if let Ok(map) = MapTable::<u64, str, u64>::open(&mut store, "map") {
        for key in 0..3u64 {
            for number in 0..130 {
                let _ = map.get(&store, hash_key(&key), &key, &text(number));
            }
        }
    }
    if let Ok(list) = ListTable::<u64, u64>::open(&mut store, "list") {
        for key in 0..3u64 {
            let _ = list.get(&store, hash_key(&key), &key);
        }
    }
    if let Ok(mut timers) = TimerTable::<u64, u64>::open(&mut store, "timers") {
        while let Ok(Some(_)) = timers.pop_due(&mut store, u64::MAX) {}
    }
}

fn text(number: u64) -> String {
    let length = usize::try_from(number % 50).expect("below 50");
    format!("{}{number}", "t".repeat(length))
}

/// Keys of the longest directory: their path begins with zeros, beyond what a directory page
/// resolves.
fn deep_keys() -> impl Iterator<Item = u64> {
    (0u64..)
        .filter(|key| hash_key(key).0 >> (64 - 12) == 0)
        .take(12)
}

fn whole() -> Vec<Page> {
    let mut store = Store::new(&config(64)).expect("reserved");
    fill_values(&mut store);
    fill_ordered(&mut store);
    store.verify().expect("sound");
    let mut pages = vec![[0; PAGE_BYTES]; store.page_count() as usize];
    store.freeze();
    while store.capture(1 << 20) != CaptureStatus::Done {}
    while let Some(mut chunk) = store.take_chunk() {
        let address = FrameAddress {
            file_id: 1,
            epoch: 1,
            frame_index: 0,
            shard: 0,
        };
        let expected = FrameExpectation {
            file: "own",
            file_id: 1,
            epoch: 1,
            frame_index: 0,
            offset_in_file: 0,
        };
        let (frame, _) = read_frame(chunk.seal(address), &expected).expect("own frame");
        for delta in frame.pages() {
            delta.apply(&mut pages[delta.page_id as usize]);
        }
        store.give_chunk(chunk);
    }
    let restored = restore(&pages).expect("whole");
    restored.verify().expect("sound");
    pages
}

fn fill_values(store: &mut Store) {
    let fixed = ValueTable::<u64, u64>::open(store, "fixed").expect("new");
    for key in 0..400u64 {
        let put = fixed.put(store, hash_key(&key), &key, &(key * 3));
        put.expect("fits");
    }
    let deep = ValueTable::<u64, [u64; 62]>::open(store, "deep").expect("new");
    for key in deep_keys() {
        let put = deep.put(store, hash_key(&key), &key, &[key; 62]);
        put.expect("fits");
    }
    let texts = ValueTable::<str, Vec<u8>>::open(store, "texts").expect("new");
    for number in 0..60 {
        let key = text(number);
        let bytes = match number {
            7 | 8 => 5_000,
            9 => 9_000,
            _ => usize::try_from(number).expect("small") * 3,
        };
        let put = texts.put(store, hash_key(&*key), &key, &vec![7; bytes]);
        put.expect("fits");
    }
    for number in [3, 8, 21] {
        let key = text(number);
        let removed = texts.remove(store, hash_key(&*key), &key);
        assert!(removed.expect("sound"));
    }
}

fn fill_ordered(store: &mut Store) {
    let map = MapTable::<u64, str, u64>::open(store, "map").expect("new");
    for number in 0..130 {
        let key = number % 3;
        let put = map.put(store, hash_key(&key), &key, &text(number), &number);
        put.expect("fits");
    }
    let list = ListTable::<u64, u64>::open(store, "list").expect("new");
    for number in 0..20 {
        let key = number % 3;
        let appended = list.append(store, hash_key(&key), &key, &number);
        appended.expect("fits");
    }
    let mut timers = TimerTable::<u64, u64>::open(store, "timers").expect("new");
    for number in 0..20u64 {
        let registered = timers.register(store, hash_key(&number), number % 5, &number, &1);
        registered.expect("fits");
    }
    // A tree that grows high and shrinks leaves free pages.
    let gone = MapTable::<u64, str, u64>::open(store, "gone").expect("new");
    for number in 0..130 {
        let put = gone.put(store, hash_key(&0), &0, &text(number), &number);
        put.expect("fits");
    }
    gone.clear(store, hash_key(&0), &0).expect("sound");
}
