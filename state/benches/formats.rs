//! Checksummed framing: a full chunk sealed and read back, and the pages of an image.

use criterion::{Criterion, Throughput};
use frazil_state::PAGE_BYTES;
use frazil_state::format::{
    Chunk, FrameAddress, FrameExpectation, ImageAddress, ImageWriter, read_frame,
};

const CHUNK_BYTES: usize = 256 << 10;
/// Every other line of a page.
const HALF_OF_THE_LINES: u64 = 0x5555_5555_5555_5555;
const PAGES: u32 = 64;
const ADDRESS: FrameAddress = FrameAddress {
    file_id: 1,
    epoch: 2,
    frame_index: 0,
    shard: 0,
};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    frames(&mut criterion);
    images(&mut criterion);
    criterion.final_summary();
}

fn page() -> [u8; PAGE_BYTES] {
    let mut byte = 0_u8;
    [(); PAGE_BYTES].map(|()| {
        byte = byte.wrapping_mul(5).wrapping_add(1);
        byte
    })
}

fn fill(chunk: &mut Chunk, page: &[u8; PAGE_BYTES]) {
    chunk.clear();
    for page_id in 0.. {
        if !chunk.has_room(HALF_OF_THE_LINES) {
            return;
        }
        chunk.push(page_id, false, HALF_OF_THE_LINES, page);
    }
}

fn frames(criterion: &mut Criterion) {
    let page = page();
    let mut chunk = Chunk::with_capacity(CHUNK_BYTES);
    let mut group = criterion.benchmark_group("frame");
    group.throughput(Throughput::Bytes(CHUNK_BYTES as u64));
    group.bench_function("fill a chunk with half pages", |bencher| {
        bencher.iter(|| fill(&mut chunk, &page));
    });
    group.bench_function("seal", |bencher| {
        bencher.iter(|| chunk.seal(ADDRESS).len());
    });
    let frame = chunk.seal(ADDRESS).to_vec();
    let expected = FrameExpectation {
        file: "bench",
        file_id: ADDRESS.file_id,
        epoch: ADDRESS.epoch,
        frame_index: ADDRESS.frame_index,
        offset_in_file: 0,
    };
    let mut restored = [0; PAGE_BYTES];
    group.bench_function("read and apply", |bencher| {
        bencher.iter(|| {
            let (frame, length) = read_frame(&frame, &expected).expect("just sealed");
            frame.pages().for_each(|delta| delta.apply(&mut restored));
            length
        });
    });
    group.finish();
}

fn images(criterion: &mut Criterion) {
    let page = page();
    let address = ImageAddress {
        file_id: 1,
        epoch: 2,
        shard: 0,
        page_count: PAGES,
    };
    let mut group = criterion.benchmark_group("image");
    group.throughput(Throughput::Bytes(u64::from(PAGES) * PAGE_BYTES as u64));
    group.bench_function("checksums of 64 pages", |bencher| {
        bencher.iter(|| {
            let mut writer = ImageWriter::new(address);
            for _ in 0..PAGES {
                writer.push_page(&page);
            }
            writer.finish()
        });
    });
    group.finish();
}
