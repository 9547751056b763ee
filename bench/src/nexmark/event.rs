//! The events as records, made by the crate `nexmark` in its usual proportion of 1 person and 3
//! auctions to 46 bids.

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use rkyv::{Archive, Deserialize, Serialize};

/// Time of the first event, so that every run has the same ones.
const BASE_TIME_MS: u64 = 1_436_918_400_000;

#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub(super) enum Event {
    Person(Person),
    Auction(Auction),
    Bid(Bid),
}

#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub(super) struct Person {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) email_address: String,
    pub(super) credit_card: String,
    pub(super) city: String,
    pub(super) state: String,
    pub(super) date_time_ms: u64,
    pub(super) extra: String,
}

#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub(super) struct Auction {
    pub(super) id: u64,
    pub(super) item_name: String,
    pub(super) description: String,
    pub(super) initial_bid_cents: u64,
    pub(super) reserve_cents: u64,
    pub(super) date_time_ms: u64,
    pub(super) expires_ms: u64,
    pub(super) seller: u64,
    pub(super) category: u64,
    pub(super) extra: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Archive, Serialize, Deserialize)]
pub(super) struct Bid {
    pub(super) auction: u64,
    pub(super) bidder: u64,
    pub(super) price_cents: u64,
    pub(super) channel: String,
    pub(super) url: String,
    pub(super) date_time_ms: u64,
    pub(super) extra: String,
}

impl Event {
    /// The bid, if it is one.
    #[inline]
    pub(super) fn bid(&self) -> Option<&Bid> {
        match self {
            Self::Bid(bid) => Some(bid),
            Self::Person(_) | Self::Auction(_) => None,
        }
    }
}

/// The first `count` events.
pub(super) fn events(count: usize) -> Vec<Event> {
    let config = NexmarkConfig {
        base_time: BASE_TIME_MS,
        ..NexmarkConfig::default()
    };
    let generated = EventGenerator::new(config).take(count);
    generated.map(Event::from).collect()
}

impl From<nexmark::event::Event> for Event {
    fn from(event: nexmark::event::Event) -> Self {
        match event {
            nexmark::event::Event::Person(person) => Self::Person(Person {
                id: person.id as u64,
                name: person.name,
                email_address: person.email_address,
                credit_card: person.credit_card,
                city: person.city,
                state: person.state,
                date_time_ms: person.date_time,
                extra: person.extra,
            }),
            nexmark::event::Event::Auction(auction) => Self::Auction(Auction {
                id: auction.id as u64,
                item_name: auction.item_name,
                description: auction.description,
                initial_bid_cents: auction.initial_bid as u64,
                reserve_cents: auction.reserve as u64,
                date_time_ms: auction.date_time,
                expires_ms: auction.expires,
                seller: auction.seller as u64,
                category: auction.category as u64,
                extra: auction.extra,
            }),
            nexmark::event::Event::Bid(bid) => Self::Bid(Bid {
                auction: bid.auction as u64,
                bidder: bid.bidder as u64,
                price_cents: bid.price as u64,
                channel: bid.channel,
                url: bid.url,
                date_time_ms: bid.date_time,
                extra: bid.extra,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_fifty_events_one_is_a_person_and_three_are_auctions() {
        let made = events(5_000);
        let count = |wanted: fn(&Event) -> bool| made.iter().filter(|event| wanted(event)).count();
        assert_eq!(count(|event| matches!(event, Event::Person(_))), 100);
        assert_eq!(count(|event| matches!(event, Event::Auction(_))), 300);
        assert_eq!(count(|event| event.bid().is_some()), 4_600);
        assert_eq!(made, events(5_000));
    }
}
