//! Repeated messages are dropped, and forgotten after a while.
//!
//! `cargo run --example deduplication`

use std::thread;
use std::time::Duration;

use frazil::{Cores, Expiry, ExpiryPolicy, ForEach, Job, push};

/// A message is new again 100 ms after it was first seen.
const FORGET: Expiry = Expiry {
    after_ms: 100,
    policy: ExpiryPolicy::OnCreate,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (messages, source) = push::channel::<(u64, String)>(64);
    let job = Job::builder("deduplication")
        .cores(Cores::count(1))
        .build()?;
    let handle = job.start(move |flow| {
        let mut by_id = flow.source(source.clone()).key_by(|(id, _text)| id);
        let (repeat, repeats) = by_id.side_output::<u64>();
        by_id
            .process(
                |states| states.ttl(FORGET).value::<()>("seen"),
                move |seen, (id, text), cx, out| {
                    if seen.exists(cx)? {
                        repeat.push(cx, id);
                    } else {
                        seen.put(cx, &())?;
                        out.push_owned(format!("message {id}: {text}"));
                    }
                    Ok(())
                },
            )
            .sink(ForEach::new(|message: &String| println!("{message}")));
        repeats.sink(ForEach::new(|id: &u64| println!("        ({id} again)")));
    })?;

    for (id, text) in [
        (1, "ice"),
        (2, "water"),
        (1, "ice"),
        (3, "steam"),
        (2, "water"),
    ] {
        messages.push((id, text.to_owned()))?;
    }
    println!("-- a pause longer than 100 ms, then everything again --");
    thread::sleep(Duration::from_millis(150));
    for (id, text) in [(1, "ice"), (2, "water"), (1, "ice")] {
        messages.push((id, text.to_owned()))?;
    }
    drop(messages);
    handle.wait()?;
    Ok(())
}
