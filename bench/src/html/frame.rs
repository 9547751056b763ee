//! The frame of a chart: axes with round values, labels and units; and what stands around it.

use super::scale::Scale;
use super::words::{Quantity, px};
use maud::{Markup, html};

/// A chart is drawn once for wide pages and once for phones, so that its text has the same size on
/// both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Wide,
    Narrow,
}

impl Size {
    pub(super) fn width(self) -> f64 {
        match self {
            Self::Wide => 860.0,
            Self::Narrow => 350.0,
        }
    }

    /// The first on wide pages, else the second.
    pub(super) fn pick<T>(self, wide: T, narrow: T) -> T {
        match self {
            Self::Wide => wide,
            Self::Narrow => narrow,
        }
    }

    fn class(self) -> &'static str {
        self.pick("wide", "narrow")
    }
}

/// The rectangle that values are drawn into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plot {
    pub(super) size: Size,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Plot {
    /// `height` high, with room for labels around it.
    pub(super) fn new(size: Size, height: f64) -> Self {
        let top = 26.0;
        Self {
            size,
            left: 62.0,
            right: size.width() - 14.0,
            top,
            bottom: top + height,
        }
    }

    pub(super) fn across(&self) -> (f64, f64) {
        (self.left, self.right)
    }

    /// From the bottom up.
    pub(super) fn upward(&self) -> (f64, f64) {
        (self.bottom, self.top)
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// One axis: where values fall, which are marked, and what they are.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    pub(super) label: String,
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    pub(super) fn new(scale: Scale, label: &str, quantity: Quantity, tick_count: usize) -> Self {
        let values = match quantity {
            Quantity::Bytes => scale.byte_ticks(tick_count),
            _ => scale.ticks(tick_count),
        };
        let ticks = values.into_iter().map(|tick| (tick, quantity.tick(tick)));
        Self {
            scale,
            label: label.to_owned(),
            ticks: ticks.collect(),
        }
    }
}

/// A picture of this height.
pub(super) fn picture(size: Size, height: f64, content: &Markup) -> Markup {
    let shape = format!("0 0 {} {}", px(size.width()), px(height));
    html! { svg viewBox=(shape) { (content) } }
}

/// A chart with both axes; `marks` lie above the grid.
pub(super) fn chart(plot: &Plot, x: &Axis, y: &Axis, marks: &Markup) -> Markup {
    let content = html! {
        (vertical_axis(plot, y))
        (horizontal_axis(plot, x))
        (marks)
    };
    picture(plot.size, plot.bottom + 42.0, &content)
}

fn vertical_axis(plot: &Plot, axis: &Axis) -> Markup {
    html! {
        g class="axis" {
            @for (value, text) in &axis.ticks {
                @let y = axis.scale.at(*value);
                line class="grid" x1=(px(plot.left)) x2=(px(plot.right)) y1=(px(y)) y2=(px(y)) {}
                text class="end" x=(px(plot.left - 8.0)) y=(px(y + 4.0)) { (text) }
            }
            text class="label" data-axis="y" x="0" y="12" { (axis.label) }
        }
    }
}

/// The horizontal axis with its ticks and its label.
pub(super) fn horizontal_axis(plot: &Plot, axis: &Axis) -> Markup {
    html! {
        g class="axis" {
            line class="base" x1=(px(plot.left)) x2=(px(plot.right))
                y1=(px(plot.bottom)) y2=(px(plot.bottom)) {}
            @for (value, text) in &axis.ticks {
                @let x = axis.scale.at(*value);
                line class="base" x1=(px(x)) x2=(px(x))
                    y1=(px(plot.bottom)) y2=(px(plot.bottom + 4.0)) {}
                text class="middle" x=(px(within(plot, x, text))) y=(px(plot.bottom + 17.0)) {
                    (text)
                }
            }
            text class="label end" data-axis="x" x=(px(plot.right)) y=(px(plot.bottom + 36.0)) {
                (axis.label)
            }
        }
    }
}

/// Of digits and signs, with the widest font that is likely to be there.
const GLYPH_WIDTH: f64 = 8.4;

/// Text in the middle of `x` that does not leave the page.
fn within(plot: &Plot, x: f64, text: &str) -> f64 {
    let half = GLYPH_WIDTH / 2.0 * text.chars().count() as f64;
    x.clamp(half, plot.size.width() - half)
}

/// A line through points.
pub(super) fn path(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let command = if path.is_empty() { 'M' } else { 'L' };
        path.push_str(&format!("{command}{} {}", px(x), px(y)));
    }
    path
}

/// A strip of the plot that shows `tip` and a line when it is pointed at.
pub(super) fn hit(plot: &Plot, from: f64, to: f64, at: f64, tip: &str) -> Markup {
    html! {
        g class="hit" {
            title { (tip) }
            rect x=(px(from)) y=(px(plot.top)) width=(px(to - from)) height=(px(plot.height())) {}
            line x1=(px(at)) x2=(px(at)) y1=(px(plot.top)) y2=(px(plot.bottom)) {}
        }
    }
}

/// A line of the legend.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) class: &'static str,
    pub(super) text: String,
}

impl Key {
    pub(super) fn new(class: &'static str, text: &str) -> Self {
        Self {
            class,
            text: text.to_owned(),
        }
    }
}

/// A chart with what stands around it.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) id: String,
    pub(super) title: String,
    /// What it shows, in a sentence or two.
    pub(super) note: String,
    pub(super) keys: Vec<Key>,
    /// The picture at each size.
    pub(super) body: [Markup; 2],
}

impl Figure {
    /// A chart that `draw` draws at a size.
    pub(super) fn of_chart(
        id: &str,
        title: &str,
        note: &str,
        keys: Vec<Key>,
        draw: impl Fn(Size) -> Markup,
    ) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            note: note.to_owned(),
            keys,
            body: [Size::Wide, Size::Narrow].map(draw),
        }
    }

    /// The same as one of several like it.
    pub(super) fn among(mut self, id: &str, title: &str) -> Self {
        self.id = format!("{id}-{}", self.id);
        self.title = format!("{title}: {}", self.title);
        self
    }

    pub(super) fn markup(&self) -> Markup {
        html! {
            figure id=(self.id) {
                figcaption {
                    h2 id={ (self.id) "-title" } { (self.title) }
                    p { (self.note) }
                    @if !self.keys.is_empty() {
                        ul class="keys" {
                            @for key in &self.keys {
                                li { span class={ "swatch " (key.class) } {} (key.text) }
                            }
                        }
                    }
                }
                @for (size, picture) in [Size::Wide, Size::Narrow].into_iter().zip(&self.body) {
                    div class=(size.class()) role="img" aria-labelledby={ (self.id) "-title" } {
                        (picture)
                    }
                }
            }
        }
    }
}
