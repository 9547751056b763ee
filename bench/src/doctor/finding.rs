//! What one check found.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be, or unknown.
    Ok,
    /// Frazil runs, with a longer tail of latency than the machine could have.
    Warn,
    /// Frazil cannot run like this.
    Fail,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// How bad it is.
    pub status: Status,
    /// What was found, and what it means.
    pub found: String,
    /// The command that mends it, where something is to be mended.
    pub fix: Option<String>,
}

impl Finding {
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Ok,
            found: found.into(),
            fix: None,
        }
    }

    pub(super) fn warn(
        name: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            status: Status::Warn,
            fix: Some(fix.into()),
            ..Self::ok(name, found)
        }
    }

    pub(super) fn fail(
        name: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            status: Status::Fail,
            ..Self::warn(name, found, fix)
        }
    }

    /// One or two lines for people.
    #[must_use]
    pub fn text(&self) -> String {
        let status = match self.status {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "FAIL",
        };
        let mut text = format!("{status:<5} {:<15} {}\n", self.name, self.found);
        if let Some(fix) = &self.fix {
            text.push_str(&format!("{:<21} fix: {fix}\n", ""));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_the_fix_on_a_line_of_its_own() {
        let good = Finding::ok("swap", "none");
        assert_eq!(good.text(), "ok    swap            none\n");
        let bad = Finding::warn("swap", "8.00 GiB", "sudo swapoff -a");
        assert_eq!(bad.text().lines().count(), 2);
        assert!(bad.text().ends_with("fix: sudo swapoff -a\n"));
    }
}
