//! Images: every page is verified as the page it is, in the image it is in.

mod format_support;

use format_support::{
    Random, assert_all_damage_is_refused, assert_resealed_damage_is_survived, reseal,
};
use frazil_state::PAGE_BYTES;
use frazil_state::format::{
    FormatError, HEADER_BYTES, ImageAddress, ImageFooter, ImageTable, ImageWriter, PAGE_ID_END,
};
use proptest::prelude::*;

fn address(page_count: u32) -> ImageAddress {
    ImageAddress {
        file_id: 11,
        epoch: 22,
        shard: 3,
        page_count,
    }
}

fn image(address: ImageAddress, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut writer = ImageWriter::new(address);
    let mut file = Vec::new();
    for _ in 0..address.page_count {
        let mut page = [0; PAGE_BYTES];
        page.fill_with(|| random.next().to_le_bytes()[0]);
        writer.push_page(&page);
        file.extend_from_slice(&page);
    }
    file.extend(writer.finish());
    file
}

/// As a restore does it: the footer, the table, then every page.
fn decode_as(file: &[u8], expected: &ImageAddress) -> Result<(), FormatError> {
    let length = file.len() as u64;
    let (_, footer) = file
        .split_last_chunk::<HEADER_BYTES>()
        .unwrap_or((&[], &[0; HEADER_BYTES]));
    let footer = ImageFooter::decode("image-22", length, footer, expected)?;
    let begin = usize::try_from(footer.address().table_offset()).expect("in memory");
    let table = &file[begin..file.len() - HEADER_BYTES];
    let table = ImageTable::decode("image-22", &footer, table)?;
    let (pages, _) = file[..begin].as_chunks::<PAGE_BYTES>();
    for (page_id, page) in (0..).zip(pages) {
        table.verify_page(page_id, page)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 64 }))]
    #[test]
    fn written_images_verify(page_count in 0u32..40, seed in any::<u64>()) {
        let address = address(page_count);
        let file = image(address, seed);
        prop_assert_eq!(file.len() as u64, address.length_bytes());
        prop_assert!(decode_as(&file, &address).is_ok());
    }
}

#[test]
fn damaged_image_is_refused() {
    let address = address(1);
    assert_all_damage_is_refused(&image(address, 1), &|file| decode_as(file, &address));
}

#[test]
fn damaged_tail_is_refused() {
    // Without pages the tail is all there is, and every mutation hits it.
    let address = address(0);
    assert_all_damage_is_refused(&image(address, 1), &|file| decode_as(file, &address));
}

#[test]
fn hostile_tail_with_a_right_checksum_is_survived() {
    let address = address(17);
    let file = image(address, 1);
    let tail = &file[17 * PAGE_BYTES..];
    let decode = |tail: &[u8]| {
        let Some((table, footer)) = tail.split_last_chunk() else {
            return ImageFooter::decode("image-22", 0, &[0; 64], &address).map(|_| ());
        };
        let length = 17 * PAGE_BYTES as u64 + tail.len() as u64;
        let footer = ImageFooter::decode("image-22", length, footer, &address)?;
        let table = ImageTable::decode("image-22", &footer, table)?;
        table.verify_page(0, file.first_chunk().expect("17 pages"))
    };
    assert_resealed_damage_is_survived(tail, &|length| length - 64..length, &decode);
}

#[test]
fn file_of_another_length_is_refused() {
    let address = address(3);
    let file = image(address, 1);
    let footer = file.last_chunk().expect("a footer");
    for length in [
        0,
        63,
        64,
        65,
        file.len() as u64 - 1,
        file.len() as u64 + 4096,
        u64::MAX,
    ] {
        let error = ImageFooter::decode("image-22", length, footer, &address)
            .expect_err("the length does not fit");
        assert!(
            error
                .to_string()
                .contains("file length: expected 12416, found"),
            "{error}"
        );
    }
}

#[test]
fn hostile_page_count_is_refused() {
    let mut file = image(address(1), 1);
    let count_at = file.len() - 32;
    for page_count in [PAGE_ID_END + 1, u32::MAX] {
        file[count_at..count_at + 4].copy_from_slice(&page_count.to_le_bytes());
        assert!(decode_as(&file, &address(1)).is_err());
        assert!(decode_as(&file, &address(page_count)).is_err());
    }
}

#[test]
fn image_of_another_place_is_refused() {
    let whole = address(2);
    let file = image(whole, 1);
    let others = [
        ImageAddress {
            file_id: 12,
            ..whole
        },
        ImageAddress { epoch: 21, ..whole },
        ImageAddress { shard: 2, ..whole },
        ImageAddress {
            page_count: 1,
            ..whole
        },
    ];
    for other in others {
        assert!(decode_as(&file, &other).is_err(), "{other:?}");
    }
}

#[test]
fn page_at_another_place_is_refused() {
    let mut file = image(address(2), 1);
    let (first, second) = file[..2 * PAGE_BYTES].split_at_mut(PAGE_BYTES);
    first.swap_with_slice(second);
    let error = decode_as(&file, &address(2)).expect_err("pages are swapped");
    assert!(
        error
            .to_string()
            .contains("file=image-22 offset=0: page checksum"),
        "{error}"
    );
}

#[test]
fn page_of_an_older_image_is_refused() {
    let new = address(1);
    let old = ImageAddress { epoch: 21, ..new };
    let mut file = image(new, 1);
    let table_at = PAGE_BYTES;
    let old_crc = image(old, 1)[table_at..table_at + 4].to_vec();
    assert_ne!(
        old_crc,
        file[table_at..table_at + 4],
        "the same page in two epochs"
    );
    file[table_at..table_at + 4].copy_from_slice(&old_crc);
    let tail = &mut file[table_at..];
    let length = tail.len();
    reseal(tail, length - 64..length);
    assert!(decode_as(&file, &new).is_err());
}

#[test]
fn page_beyond_the_image_is_refused() {
    let file = image(address(1), 1);
    let footer = file.last_chunk().expect("a footer");
    let footer = ImageFooter::decode("image-22", file.len() as u64, footer, &address(1)).unwrap();
    let table = &file[PAGE_BYTES..file.len() - HEADER_BYTES];
    let table = ImageTable::decode("image-22", &footer, table).unwrap();
    assert!(table.verify_page(1, &[0; PAGE_BYTES]).is_err());
    assert!(table.verify_page(u32::MAX, &[0; PAGE_BYTES]).is_err());
}

#[test]
#[should_panic(expected = "all its pages were pushed")]
fn image_without_all_pages_is_never_finished() {
    let _ = ImageWriter::new(address(1)).finish();
}
