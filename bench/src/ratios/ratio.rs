//! One measured ratio, as it is stored.

use super::bound::bound;
use crate::pairs::{PairValue, PairedCell, Side};
use serde::{Deserialize, Serialize};

/// One entry of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// As `G1`.
    pub id: String,
    /// The median over the pairs; none where it could not be measured, the note says why.
    pub value: Option<f64>,
    /// The least it may as well be: over the pairs, or by the number of samples.
    #[serde(default)]
    pub min: Option<f64>,
    /// The largest.
    #[serde(default)]
    pub max: Option<f64>,
    /// What must hold.
    pub floor: f64,
    /// What is wanted.
    pub goal: f64,
    /// Whether the floor holds.
    pub holds_floor: Option<bool>,
    /// Whether the goal does.
    pub holds_goal: Option<bool>,
    /// Median of what is judged.
    pub a: Option<f64>,
    /// Median of what it is judged by.
    pub b: Option<f64>,
    /// The unit of both.
    pub unit: String,
    /// In the order measured.
    pub pairs: Vec<PairValue>,
    /// Setting, spread and state of the machine; or why there is no value.
    pub note: String,
}

impl Ratio {
    /// The ratio that `cell` measured, both sides in `unit`.
    ///
    /// # Panics
    ///
    /// If there is no ratio called `id`.
    #[must_use]
    pub fn of_cell(id: &str, cell: &PairedCell, unit: &str, setting: &str) -> Self {
        let spread = cell.ratio();
        let note = format!("{setting}; {}", cell.conditions());
        Self {
            min: Some(spread.min),
            max: Some(spread.max),
            a: Some(cell.side(Side::A).median),
            b: Some(cell.side(Side::B).median),
            pairs: cell.pairs.clone(),
            ..Self::of_value(id, spread.median, unit, note)
        }
    }

    /// A value that is no quotient.
    ///
    /// # Panics
    ///
    /// If there is no ratio called `id`.
    #[must_use]
    pub fn of_value(id: &str, value: f64, unit: &str, note: String) -> Self {
        let bound = bound(id).expect("a ratio of the table");
        Self {
            value: Some(value),
            holds_floor: Some(bound.holds(value, bound.floor)),
            holds_goal: Some(bound.holds(value, bound.goal)),
            unit: unit.to_owned(),
            ..Self::none(id, note)
        }
    }

    /// No value, for the reason given.
    ///
    /// # Panics
    ///
    /// If there is no ratio called `id`.
    #[must_use]
    pub fn none(id: &str, reason: impl Into<String>) -> Self {
        let bound = bound(id).expect("a ratio of the table");
        Self {
            id: bound.id.to_owned(),
            value: None,
            min: None,
            max: None,
            floor: bound.floor,
            goal: bound.goal,
            holds_floor: None,
            holds_goal: None,
            a: None,
            b: None,
            unit: String::new(),
            pairs: Vec::new(),
            note: reason.into(),
        }
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let Some(value) = self.value else {
            return format!("{:<4} {:<25} {}", self.id, "-", self.note);
        };
        let verdict = match (self.holds_floor, self.holds_goal) {
            (_, Some(true)) => "goal",
            (Some(true), _) => "floor",
            _ => "MISSED",
        };
        let sides = match (self.a, self.b) {
            (Some(a), Some(b)) => format!("{} / {} {}; ", short(a), short(b), self.unit),
            _ => String::new(),
        };
        let spread = match (self.min, self.max) {
            (Some(min), Some(max)) => format!("[{}, {}]", short(min), short(max)),
            _ => String::new(),
        };
        format!(
            "{:<4} {:<8} {spread:<16} {verdict:<7} floor {} goal {}; {sides}{}",
            self.id,
            short(value),
            short(self.floor),
            short(self.goal),
            self.note
        )
    }
}

/// Three significant digits.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1e6 => format!("{:.2} M", value / 1e6),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        size if size >= 0.001 => format!("{value:.4}"),
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(a: f64, b: f64) -> PairedCell {
        PairedCell {
            pairs: vec![PairValue { a, b, ratio: a / b }],
            floor_ns: [1_000.0; 2],
            stolen_part: 0.0,
        }
    }

    #[test]
    fn verdicts_follow_the_direction_of_the_ratio() {
        let high = Ratio::of_cell("G1", &cell(0.8, 1.0), "events/s", "test");
        assert_eq!(
            (high.holds_floor, high.holds_goal),
            (Some(true), Some(false))
        );
        let low = Ratio::of_cell("G12", &cell(5.0, 1.0), "ns", "test");
        assert_eq!(
            (low.holds_floor, low.holds_goal),
            (Some(false), Some(false))
        );
        assert!(low.line().contains("MISSED") && high.line().contains("floor"));
    }

    #[test]
    fn json_has_exactly_the_fields_that_readers_know() {
        let json = serde_json::to_value(Ratio::none("G10", "too few cores")).unwrap();
        let mut names: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        names.sort();
        let known = [
            "a",
            "b",
            "floor",
            "goal",
            "holds_floor",
            "holds_goal",
            "id",
            "max",
            "min",
            "note",
            "pairs",
            "unit",
            "value",
        ];
        assert_eq!(names, known);
        assert!(json["value"].is_null() && json["note"] == "too few cores");
        let measured = Ratio::of_cell("G1", &cell(1.0, 2.0), "events/s", "test");
        let text = serde_json::to_string(&measured).unwrap();
        assert_eq!(serde_json::from_str::<Ratio>(&text).unwrap(), measured);
    }
}
