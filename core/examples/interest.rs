//! Deposits go to accounts; whenever a rate is announced, every account gets interest.
//!
//! `cargo run --example interest`

use std::thread;
use std::time::Duration;

use frazil::{Cores, ForEach, Job, push};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (deposits, deposits_source) = push::channel::<(String, u64)>(64);
    let (rates, rates_source) = push::channel::<u64>(64);
    let job = Job::builder("interest").cores(Cores::count(1)).build()?;
    let handle = job.start(move |flow| {
        flow.source(deposits_source.clone())
            .key_by(|(owner, _cents)| owner.as_str())
            .connect(flow.source(rates_source.clone()).broadcast())
            .process(
                |states| (states.value::<u64>("cents"), states.walks("interest due")),
                |(cents, _walks), (_owner, deposit), cx, _out| {
                    cents.update(cx, &0, |cents| *cents += deposit)?;
                    Ok(())
                },
                |(cents, walks), basis_points, cx, _out| {
                    walks.start(cx, cents, *basis_points);
                    Ok(())
                },
            )
            .on_visit(|(cents, _walks), basis_points, cx, out| {
                let cents = cents.update(cx, &0, |cents| {
                    *cents += *cents * basis_points / 10_000;
                    *cents
                })?;
                out.push_pair(cx.key(), &cents);
                Ok(())
            })
            .sink(ForEach::new(|(owner, cents): (&str, &u64)| {
                println!("{owner} has {}.{:02}", cents / 100, cents % 100);
            }));
    })?;

    for (owner, cents) in [("ann", 10_000), ("bob", 2_000), ("ann", 5_000)] {
        deposits.push((owner.to_owned(), cents))?;
    }
    // Between the two streams there is no order.
    thread::sleep(Duration::from_millis(100));
    rates.push(250)?;
    thread::sleep(Duration::from_millis(100));
    rates.push(100)?;
    drop((deposits, rates));
    handle.wait()?;
    Ok(())
}
