//! Hash table and ordered table, one operation at a time, at a size that lies in the cache.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use frazil_state::{KeyHash, MapTable, RUN_KEYS_MAX, Store, StoreConfig, ValueTable, hash_key};

const KEYS: u64 = 100_000;
/// Users with as many map keys each.
const USERS: u64 = 316;
const ROUND: u64 = RUN_KEYS_MAX as u64;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    hash_table(&mut criterion);
    ordered_table(&mut criterion);
    criterion.final_summary();
}

/// Scattered keys, the same each time.
fn key_at(position: u64, bound: u64) -> u64 {
    position.wrapping_mul(0x9e37_79b9_7f4a_7c15) % bound
}

fn keys_at(round: u64) -> [(u64, KeyHash); RUN_KEYS_MAX] {
    let mut position = round * ROUND;
    [(); RUN_KEYS_MAX].map(|()| {
        position += 1;
        let key = key_at(position, KEYS);
        (key, hash_key(&key))
    })
}

fn filled() -> (Store, ValueTable<u64, u64>) {
    let mut store = Store::new(&StoreConfig::default()).expect("1 GiB of address space");
    let table = ValueTable::open(&mut store, "counts").expect("the first table");
    for key in 0..KEYS {
        let put = table.put(&mut store, hash_key(&key), &key, &1);
        put.expect("within the budget");
    }
    (store, table)
}

fn hash_table(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hash table");
    group.throughput(Throughput::Elements(ROUND));
    let (mut store, table) = filled();
    let mut round = 0;
    group.bench_function("get", |bencher| {
        bencher.iter(|| {
            round += 1;
            for (key, hash) in keys_at(round) {
                black_box(table.get(&store, hash, &key).expect("valid"));
            }
        });
    });
    let add = |count: &mut u64| *count += 1;
    group.bench_function("update", |bencher| {
        bencher.iter(|| {
            round += 1;
            for (key, hash) in keys_at(round) {
                let updated = table.update(&mut store, hash, &key, &0, add);
                updated.expect("within the budget");
            }
        });
    });
    let mut ahead = table.lookahead();
    let mut coming = [keys_at(0), keys_at(1)];
    group.bench_function("update, found ahead", |bencher| {
        bencher.iter(|| {
            round += 1;
            let newest = keys_at(round);
            table.look_ahead(&store, &mut ahead, &newest.map(|(_key, hash)| hash));
            let [used, second] = coming;
            coming = [second, newest];
            for (key, hash) in used {
                let updated = table.update_ahead(&mut store, &mut ahead, hash, &key, &0, add);
                updated.expect("within the budget");
            }
        });
    });
    let mut next = KEYS;
    group.bench_function("insert and remove", |bencher| {
        bencher.iter(|| {
            for key in next..next + ROUND {
                let put = table.put(&mut store, hash_key(&key), &key, &1);
                put.expect("within the budget");
            }
            for key in next..next + ROUND {
                let removed = table.remove(&mut store, hash_key(&key), &key);
                assert!(removed.expect("valid"), "it was just put");
            }
            next += ROUND;
        });
    });
    group.finish();
}

fn ordered_table(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ordered table");
    let mut store = Store::new(&StoreConfig::default()).expect("1 GiB of address space");
    let table = MapTable::<u64, u64, u64>::open(&mut store, "map").expect("the first table");
    for user in 0..USERS {
        for map_key in 0..USERS {
            let put = table.put(&mut store, hash_key(&user), &user, &map_key, &1);
            put.expect("within the budget");
        }
    }
    let mut position = 0;
    let mut place = move || {
        position += 1;
        let user = key_at(position, USERS);
        (user, hash_key(&user), key_at(position * 7, USERS))
    };
    group.bench_function("get", |bencher| {
        bencher.iter(|| {
            let (user, hash, map_key) = place();
            table.get(&store, hash, &user, &map_key).expect("valid")
        });
    });
    group.bench_function("update", |bencher| {
        bencher.iter(|| {
            let (user, hash, map_key) = place();
            let add = |count: &mut u64| *count += 1;
            let updated = table.update(&mut store, hash, &user, &map_key, &0, add);
            updated.expect("within the budget");
        });
    });
    group.bench_function("remove and insert", |bencher| {
        bencher.iter(|| {
            let (user, hash, map_key) = place();
            let removed = table.remove(&mut store, hash, &user, &map_key);
            assert!(removed.expect("valid"), "it is always put back");
            let put = table.put(&mut store, hash, &user, &map_key, &1);
            put.expect("within the budget");
        });
    });
    group.throughput(Throughput::Elements(USERS));
    group.bench_function("scan of one user's map", |bencher| {
        bencher.iter_batched(
            &mut place,
            |(user, hash, _map_key)| {
                let mut sum = 0;
                let scanned = table.range(&store, hash, &user, .., |map_key, value| {
                    sum += map_key + value.to_native();
                    std::ops::ControlFlow::Continue(())
                });
                scanned.expect("valid");
                sum
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
