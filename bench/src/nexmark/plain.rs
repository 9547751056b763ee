//! The queries in plain loops over all events, which share nothing with the flows but the events.

use super::event::Event;
use super::output::Rows;
use super::query::{AUCTION_STEP, CATEGORY, EURO_RATE_THOUSANDTHS, Query, STATES};
use std::collections::HashMap;

/// The rows that `query` has to give for `events`.
pub(super) fn rows(query: Query, events: &[Event]) -> Rows {
    let mut rows = Rows::default();
    let bids = events.iter().filter_map(|event| match event {
        Event::Bid(bid) => Some(bid),
        _ => None,
    });
    match query {
        Query::Q0 => bids.for_each(|bid| rows.add(bid)),
        Query::Q1 => {
            for bid in bids {
                let price = bid.price_cents * EURO_RATE_THOUSANDTHS;
                rows.add(&(bid.auction, bid.bidder, price, bid.date_time_ms, &bid.extra));
            }
        }
        Query::Q2 => {
            for bid in bids {
                if bid.auction % AUCTION_STEP == 0 {
                    rows.add(&(bid.auction, bid.price_cents));
                }
            }
        }
        Query::Q3 => return joined(events),
        Query::Count => {
            let mut counts = HashMap::new();
            for bid in bids {
                let count = counts.entry(bid.auction).or_insert(0_u64);
                *count += 1;
                rows.add(&(bid.auction, *count));
            }
        }
    }
    rows
}

/// All people first, then all auctions.
fn joined(events: &[Event]) -> Rows {
    let mut people = HashMap::new();
    for event in events {
        if let Event::Person(person) = event
            && STATES.iter().any(|state| person.state == *state)
        {
            people.insert(person.id, person);
        }
    }
    let mut rows = Rows::default();
    for event in events {
        if let Event::Auction(auction) = event
            && auction.category == CATEGORY
            && let Some(person) = people.get(&auction.seller)
        {
            rows.add(&(&person.name, &person.city, &person.state, auction.id));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::event::events;
    use super::*;

    #[test]
    fn rows_are_as_many_as_the_proportions_say() {
        let made = events(100_000);
        let count = |query| rows(query, &made).count;
        assert_eq!(count(Query::Q0), 92_000);
        assert_eq!(count(Query::Q1), 92_000);
        assert_eq!(count(Query::Count), 92_000);
        let some = count(Query::Q2);
        assert!((100..5_000).contains(&some), "{some} of 92,000 bids");
        let sold = count(Query::Q3);
        // A fifth of 6,000 auctions, half of them by people from the three states.
        assert!((300..900).contains(&sold), "{sold} of 6,000 auctions");
    }
}
