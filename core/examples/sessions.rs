//! Clicks become sessions: a session ends when its user has not clicked for 60 ms.
//!
//! `cargo run --example sessions`

use std::thread;
use std::time::Duration;

use frazil::{Cores, ForEach, Job, push};

/// A pause that ends a session.
const GAP_MS: u64 = 60;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (clicks, source) = push::channel::<String>(64);
    let job = Job::builder("sessions").cores(Cores::count(1)).build()?;
    let handle = job.start(move |flow| {
        flow.source(source.clone())
            .key_by(|user| user)
            .process(
                |states| {
                    // Number of clicks, time of the first one, time of the timer.
                    let session = states.value::<(u64, u64, u64)>("session");
                    (session, states.timers("session ends"))
                },
                |(session, timers), _user, cx, _out| {
                    let now_ms = cx.now_ms();
                    let ends_ms = now_ms + GAP_MS;
                    let initial = (0, now_ms, ends_ms);
                    let before_ms = session.update(cx, &initial, |(clicks, _first, timer)| {
                        *clicks += 1;
                        std::mem::replace(timer, ends_ms)
                    })?;
                    timers.delete(cx, before_ms)?;
                    timers.set(cx, ends_ms)?;
                    Ok(())
                },
            )
            .on_timer(|(session, _timers), time_ms, cx, out| {
                if let Some((clicks, first_ms, _timer)) = session.get(cx)? {
                    session.remove(cx)?;
                    let length_ms = time_ms - GAP_MS - first_ms;
                    let user = cx.key();
                    out.push_owned(format!("{user:5} {clicks} clicks in {length_ms:3} ms"));
                }
                Ok(())
            })
            .fire_timers_at_end()
            .sink(ForEach::new(|session: &String| println!("{session}")));
    })?;

    // Ada clicks five times, pauses, and comes back; Grace clicks now and then.
    for tick in 0..14 {
        if !(5..=11).contains(&tick) {
            clicks.push("Ada".into())?;
        }
        if tick % 6 == 0 {
            clicks.push("Grace".into())?;
        }
        thread::sleep(Duration::from_millis(15));
    }
    drop(clicks);
    handle.wait()?;
    Ok(())
}
