//! The table of ratios: each value between its floor and its goal.

use super::scale::Scale;
use super::words::{px, typeset};
use crate::ratios::{Ratio, short, what};
use maud::{Markup, html};

const WIDTH: f64 = 220.0;
const HEIGHT: f64 = 34.0;
const MIDDLE: f64 = 20.0;
/// Room beyond the outermost mark.
const BEYOND: f64 = 1.4;
/// Zero has no place on a logarithmic axis: this part of the floor stands for it.
const ZERO_PART: f64 = 0.01;

/// How a ratio stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Goal,
    Floor,
    Missed,
    Unknown,
}

impl Standing {
    pub(super) fn of(ratio: &Ratio) -> Self {
        match (ratio.holds_floor, ratio.holds_goal) {
            (_, Some(true)) => Self::Goal,
            (Some(true), _) => Self::Floor,
            (Some(false), _) => Self::Missed,
            _ => Self::Unknown,
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Goal => ("goal", "\u{2713} goal"),
            Self::Floor => ("floor", "\u{2713} floor"),
            Self::Missed => ("missed", "\u{2717} missed"),
            Self::Unknown => ("unknown", "\u{2013} no value"),
        }
    }
}

/// The table; every value is drawn on its own axis, better to the right.
pub(super) fn table(ratios: &[Ratio]) -> Markup {
    html! {
        section id="ratios" {
            h2 { "Ratios" }
            p class="quiet" {
                "Both sides are measured in turn in one process. A dot is the median, its bar the \
                 spread over the pairs; better lies to the right."
            }
            table class="ratios" {
                thead {
                    tr {
                        th { "" }
                        th { "what" }
                        th class="number" { "value" }
                        th class="number" { "floor" }
                        th class="number" { "goal" }
                        th { "floor to goal (logarithmic)" }
                        th { "" }
                    }
                }
                tbody { @for ratio in ratios { (row(ratio)) } }
            }
        }
    }
}

fn row(ratio: &Ratio) -> Markup {
    let (class, words) = Standing::of(ratio).words();
    let value = ratio.value.map_or_else(|| "\u{2013}".to_owned(), short);
    let spread = match (ratio.min, ratio.max) {
        (Some(min), Some(max)) => format!("{} to {}", short(min), short(max)),
        _ => String::new(),
    };
    let sides = match (ratio.a, ratio.b) {
        (Some(a), Some(b)) => format!("{} / {} {}. ", short(a), short(b), ratio.unit),
        _ => String::new(),
    };
    html! {
        tr {
            th scope="row" { (ratio.id) }
            td class="what" {
                (what(&ratio.id))
                details {
                    summary { "how it was measured" }
                    (typeset(&format!("{sides}{}", ratio.note)))
                }
            }
            td class="number value" data-label="value" {
                strong { (value) }
                @if !spread.is_empty() { br; span class="quiet" { (spread) } }
            }
            td class="number" data-label="floor" { (short(ratio.floor)) }
            td class="number" data-label="goal" { (short(ratio.goal)) }
            td class="strip" { @if ratio.value.is_some() { (strip(ratio)) } }
            td class={ "standing " (class) } { (words) }
        }
    }
}

fn strip(ratio: &Ratio) -> Markup {
    let value = ratio.value.unwrap_or(ratio.floor);
    let (min, max) = (ratio.min.unwrap_or(value), ratio.max.unwrap_or(value));
    let zero = ratio.floor * ZERO_PART;
    let marks = [ratio.floor, ratio.goal, value, min, max].map(|mark| mark.max(zero));
    let least = marks.iter().copied().fold(f64::MAX, f64::min) / BEYOND;
    let largest = marks.iter().copied().fold(0.0, f64::max) * BEYOND;
    let is_higher_better = ratio.goal > ratio.floor;
    let places = if is_higher_better {
        (0.0, WIDTH)
    } else {
        (WIDTH, 0.0)
    };
    let scale = Scale::log((least, largest), places);
    let at = |mark: f64| scale.at(mark.max(zero));
    let (floor, goal) = (at(ratio.floor), at(ratio.goal));
    let (from, to) = (at(min).min(at(max)), at(min).max(at(max)));
    let name = format!(
        "{}: {} with a floor of {} and a goal of {}",
        ratio.id,
        short(value),
        short(ratio.floor),
        short(ratio.goal)
    );
    html! {
        svg class="strip" viewBox={ "0 0 " (px(WIDTH)) " " (px(HEIGHT)) } role="img"
            aria-label=(name)
        {
            rect class="zone" x=(px(floor)) width=(px(goal - floor)) y=(px(MIDDLE - 5.0))
                height="10" {}
            rect class="zone good" x=(px(goal)) width=(px(WIDTH - goal)) y=(px(MIDDLE - 5.0))
                height="10" {}
            line class="base" x1="0" x2=(px(WIDTH)) y1=(px(MIDDLE)) y2=(px(MIDDLE)) {}
            (mark(floor, "floor"))
            (mark(goal, "goal"))
            line class="spread" x1=(px(from)) x2=(px(to)) y1=(px(MIDDLE)) y2=(px(MIDDLE)) {}
            g class="hit bar" {
                title { (name) }
                circle class="on" cx=(px(at(value))) cy=(px(MIDDLE)) r="5" {}
            }
        }
    }
}

fn mark(at: f64, name: &str) -> Markup {
    let (y1, y2) = (px(MIDDLE - 7.0), px(MIDDLE + 7.0));
    let class = match at {
        _ if at < 20.0 => "tiny",
        _ if at > WIDTH - 20.0 => "tiny end",
        _ => "tiny middle",
    };
    html! {
        line class="mark" x1=(px(at)) x2=(px(at)) y1=(y1) y2=(y2) {}
        text class=(class) x=(px(at)) y="9" { (name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ratio_has_a_row_and_its_standing() {
        let of = |id, value| Ratio::of_value(id, value, "us", "measured <so>".to_owned());
        let ratios = [
            of("G1", 2.0),
            of("G5", 5.0),
            of("G16", 0.0),
            Ratio::none("G3", "no room"),
        ];
        let standings = ratios.each_ref().map(Standing::of);
        let expected = [
            Standing::Goal,
            Standing::Floor,
            Standing::Goal,
            Standing::Unknown,
        ];
        assert_eq!(standings, expected);
        let text = table(&ratios).into_string();
        assert_eq!(text.matches("<tr>").count(), 5);
        assert!(text.contains("measured &lt;so&gt;") && text.contains("no room"));
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
