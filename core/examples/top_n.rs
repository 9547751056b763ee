//! The three best players of every game, by a sorted map a key.
//!
//! `cargo run --example top_n`

use std::ops::ControlFlow;

use frazil::{Cores, ForEach, Iter, Job};

const TOP: usize = 3;
const PLAYERS: [&str; 6] = ["Ada", "Grace", "Edsger", "Barbara", "Donald", "Tony"];
const GAMES: [&str; 2] = ["chess", "go"];

/// Game, player and score number `index`, by a simple generator.
fn result(index: u64) -> (String, String, u64) {
    let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let pick = |bits: u32, count: usize| usize::try_from(mixed >> bits).unwrap_or(0) % count;
    let (game, player) = (GAMES[pick(40, 2)], PLAYERS[pick(48, 6)]);
    (game.to_owned(), player.to_owned(), (mixed >> 20) % 1000)
}

fn main() -> Result<(), frazil::Error> {
    let results = |_split, _split_count| (0..1000u64).map(result);
    let job = Job::builder("top-n").cores(Cores::count(1)).build()?;
    let handle = job.start(move |flow| {
        flow.source(Iter::new(results).splits(1))
            .key_by(|(game, _player, _score)| game.as_str())
            .process(
                |states| states.map::<(u64, String), ()>("best"),
                |best, (game, player, score), cx, out| {
                    best.put(cx, &(*score, player.clone()), &())?;
                    let mut ranking = Vec::new();
                    best.range_back(cx, .., |entry, ()| {
                        ranking.push(entry.clone());
                        ControlFlow::Continue(())
                    })?;
                    if let Some(lowest) = ranking.get(TOP) {
                        best.remove(cx, lowest)?;
                    }
                    let is_new = ranking
                        .iter()
                        .take(TOP)
                        .any(|(points, name)| (points, name) == (score, player));
                    if is_new {
                        let names = ranking
                            .iter()
                            .take(TOP)
                            .map(|(score, player)| format!("{player} {score}"));
                        let names: Vec<_> = names.collect();
                        out.push_owned(format!("{game:5} {}", names.join(", ")));
                    }
                    Ok(())
                },
            )
            .sink(ForEach::new(|ranking: &String| println!("{ranking}")));
    })?;
    handle.wait()?;
    Ok(())
}
