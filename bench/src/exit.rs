//! What the exit status says.

use frazil::{Error, FlowError, IoError};
use std::process::{ExitCode, Termination};

/// How a command ended; its number is the exit status of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All that was asked for was done, and every check held.
    Ok = 0,
    /// The work could not be finished.
    Failed = 1,
    /// The work was finished and its result is wrong, or stored data is damaged.
    Corrupt = 2,
    /// The arguments ask for something that cannot be.
    BadConfiguration = 3,
    /// This machine lacks something that the command needs.
    UnfitEnvironment = 4,
    /// A compared result became worse than both spreads allow.
    Worse = 5,
}

impl Exit {
    /// All of them, by number.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::Failed,
        Self::Corrupt,
        Self::BadConfiguration,
        Self::UnfitEnvironment,
        Self::Worse,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub const fn status(self) -> u8 {
        self as u8
    }
}

impl From<&Error> for Exit {
    /// What the failure of a job says about input, stored data and machine.
    fn from(error: &Error) -> Self {
        match error {
            Error::Flow(FlowError::Source { .. })
            | Error::Setting { .. }
            | Error::OtherJob { .. }
            | Error::OtherFlow { .. }
            | Error::KeyGroupCount { .. } => Self::BadConfiguration,
            Error::Format(_) | Error::NoWholeCheckpoint { .. } | Error::FallBack { .. } => {
                Self::Corrupt
            }
            Error::Io(error) => error.into(),
            _ => Self::Failed,
        }
    }
}

impl From<&IoError> for Exit {
    fn from(error: &IoError) -> Self {
        match error {
            IoError::DriverUnavailable { .. } | IoError::Thread { .. } => Self::UnfitEnvironment,
            _ => Self::Failed,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_fixed() {
        assert_eq!(Exit::ALL.map(Exit::status), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn failures_of_a_job_have_their_status() {
        let unfit = Error::Io(IoError::DriverUnavailable {
            driver: "glommio",
            reason: "io_uring is blocked".to_owned(),
        });
        assert_eq!(Exit::from(&unfit), Exit::UnfitEnvironment);
        let corrupt = Error::NoWholeCheckpoint {
            location: "checkpoints".to_owned(),
            reasons: Vec::new(),
        };
        assert_eq!(Exit::from(&corrupt), Exit::Corrupt);
        assert_eq!(Exit::from(&Error::Ended), Exit::Failed);
    }
}
