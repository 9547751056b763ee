//! The queries as flows.

use super::event::{Bid, Event, Person};
use super::output::Output;
use super::source::EventSource;
use clap::ValueEnum;
use frazil::{Flow, ForEach};
use rkyv::{Archive, Deserialize, Serialize};

/// A query on people, auctions and bids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Query {
    /// Every bid as it is
    Q0,
    /// Every bid with its price in another currency
    Q1,
    /// Bids for some auctions
    Q2,
    /// Who sells in a category, and from where: people joined with their auctions
    Q3,
    /// How many bids each auction has by now
    Count,
}

/// What q1 multiplies prices by, in thousandths.
pub(super) const EURO_RATE_THOUSANDTHS: u64 = 908;
/// q2 takes every n-th auction.
pub(super) const AUCTION_STEP: u64 = 123;
/// q3 takes auctions of this category by sellers from these states.
pub(super) const CATEGORY: u64 = 10;
pub(super) const STATES: [&str; 3] = ["or", "id", "ca"];

/// A side of q3's join, sent to the shard of the person.
#[derive(Clone, Debug, Archive, Serialize, Deserialize)]
enum JoinSide {
    Seller {
        id: u64,
        name: String,
        city: String,
        state: String,
    },
    Sold {
        seller: u64,
        auction: u64,
    },
}

impl JoinSide {
    fn person(&self) -> &u64 {
        match self {
            Self::Seller { id, .. } => id,
            Self::Sold { seller, .. } => seller,
        }
    }

    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Person(person) if is_from_wanted_state(person) => Some(Self::Seller {
                id: person.id,
                name: person.name.clone(),
                city: person.city.clone(),
                state: person.state.clone(),
            }),
            Event::Auction(auction) if auction.category == CATEGORY => Some(Self::Sold {
                seller: auction.seller,
                auction: auction.id,
            }),
            Event::Person(_) | Event::Auction(_) | Event::Bid(_) => None,
        }
    }
}

pub(super) fn is_from_wanted_state(person: &Person) -> bool {
    STATES.contains(&person.state.as_str())
}

/// What q1 makes of a bid: auction, bidder, price in thousandths of a cent, time, the rest.
pub(super) fn converted(bid: &Bid) -> (u64, u64, u64, u64, String) {
    (
        bid.auction,
        bid.bidder,
        bid.price_cents * EURO_RATE_THOUSANDTHS,
        bid.date_time_ms,
        bid.extra.clone(),
    )
}

impl Query {
    /// As on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Q0 => "q0",
            Self::Q1 => "q1",
            Self::Q2 => "q2",
            Self::Q3 => "q3",
            Self::Count => "count",
        }
    }

    /// What is asked, in a few words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Q0 => "every bid as it is",
            Self::Q1 => "every bid, its price converted",
            Self::Q2 => "auction and price of bids for every 123rd auction",
            Self::Q3 => "sellers from three states joined with their auctions of one category",
            Self::Count => "bids counted by auction, a row for every bid",
        }
    }

    /// Builds the query between `source` and `output`.
    pub(super) fn build(self, flow: &Flow, source: &EventSource, output: &Output) {
        let events = || flow.source(source.clone());
        let taker = output.taker();
        match self {
            Self::Q0 => events()
                .filter(|event| event.bid().is_some())
                .sink(ForEach::new(move |event: &Event| {
                    if let Some(bid) = event.bid() {
                        taker.take(bid);
                    }
                })),
            Self::Q1 => events()
                .flat_map(|event, out| {
                    if let Some(bid) = event.bid() {
                        out.push_owned(converted(bid));
                    }
                })
                .sink(ForEach::new(move |row: &(u64, u64, u64, u64, String)| {
                    taker.take(row)
                })),
            Self::Q2 => events()
                .flat_map(|event, out| {
                    if let Some(bid) = event.bid()
                        && bid.auction.is_multiple_of(AUCTION_STEP)
                    {
                        out.push_owned((bid.auction, bid.price_cents));
                    }
                })
                .sink(ForEach::new(move |row: &(u64, u64)| taker.take(row))),
            Self::Q3 => join(flow, source, output),
            Self::Count => events()
                .flat_map(|event, out| {
                    if let Some(bid) = event.bid() {
                        out.push(&bid.auction);
                    }
                })
                .key_by(|auction| auction)
                .aggregate("bids", 0_u64, |bids, _auction| *bids += 1)
                .sink(ForEach::new(move |(auction, bids): (&u64, &u64)| {
                    taker.take(&(*auction, *bids));
                })),
        }
    }
}

/// Whichever comes first, seller or auction, waits for the other in the state of the person.
fn join(flow: &Flow, source: &EventSource, output: &Output) {
    let taker = output.taker();
    flow.source(source.clone())
        .flat_map(|event, out| {
            if let Some(side) = JoinSide::of(event) {
                out.push_owned(side);
            }
        })
        .key_by(JoinSide::person)
        .process(
            |states| {
                (
                    states.value::<(String, String, String)>("seller"),
                    states.map::<u64, ()>("sold before"),
                )
            },
            |(seller, sold_before), side, cx, out| {
                match side {
                    JoinSide::Seller {
                        name, city, state, ..
                    } => {
                        let row =
                            |auction: &u64| (name.clone(), city.clone(), state.clone(), *auction);
                        sold_before.range(cx, .., |auction, _| {
                            out.push_owned(row(auction));
                            std::ops::ControlFlow::Continue(())
                        })?;
                        sold_before.clear(cx)?;
                        let known = (name.clone(), city.clone(), state.clone());
                        seller.put(cx, &known)?;
                    }
                    JoinSide::Sold { auction, .. } => match seller.get(cx)? {
                        Some((name, city, state)) => {
                            out.push_owned((name, city, state, *auction));
                        }
                        None => sold_before.put(cx, auction, &())?,
                    },
                }
                Ok(())
            },
        )
        .sink(ForEach::new(move |row: &(String, String, String, u64)| {
            taker.take(row)
        }));
}
