//! Where an input of a stage stands, and several of them together.

/// `open -> held(n)` when barrier n arrives, `held(n) -> open` by a release, `open -> ended` when
/// the end arrives. No two inputs of a job are held at different barriers, because the next barrier
/// is injected only after this one's checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputState {
    Open,
    Held(u64),
    Ended,
}

impl InputState {
    /// The state of two inputs as one: held once each delivered the barrier, which the end of an
    /// input counts as, and ended once both are.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Open, _) | (_, Self::Open) => Self::Open,
            (Self::Ended, state) | (state, Self::Ended) => state,
            (Self::Held(epoch), Self::Held(other)) => {
                assert_eq!(epoch, other, "two barriers in flight");
                self
            }
        }
    }

    pub(crate) fn release(&mut self) {
        if let Self::Held(_) = self {
            *self = Self::Open;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::InputState::{Ended, Held, Open};

    #[test]
    fn barrier_is_there_once_no_input_is_open() {
        assert_eq!(Open.and(Held(3)), Open);
        assert_eq!(Ended.and(Open), Open);
        assert_eq!(Held(3).and(Ended), Held(3));
        assert_eq!(Ended.and(Held(3)).and(Held(3)), Held(3));
        assert_eq!(Ended.and(Ended), Ended);
    }

    #[test]
    #[should_panic(expected = "two barriers in flight")]
    fn inputs_held_at_different_barriers_are_a_fault() {
        let _ = Held(3).and(Held(4));
    }
}
