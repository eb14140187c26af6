//! A refusal by the kernel.

use std::{error::Error, io, iter::successors};

use aya::maps::MapError;

/// The kernel's error, and its number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    text: String,
    errno: Option<i32>,
}

impl Refusal {
    /// An error with its causes, in one line.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut text = error.to_string();
        for cause in successors(error.source(), |&cause| cause.source()).map(ToString::to_string) {
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        let mut causes = successors(Some(error), |&cause| cause.source());
        let errno = causes.find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
        Self { text, errno }
    }

    /// The kernel's number of the error, if it is the kernel's.
    pub fn errno(&self) -> Option<i32> {
        self.errno
    }

    /// With more text appended.
    pub fn and(self, more: &str) -> Self {
        Self { text: format!("{self}; {more}"), ..self }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::of(&error)
    }
}

impl From<MapError> for Refusal {
    fn from(error: MapError) -> Self {
        Self::of(&error)
    }
}

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        Self { text, errno: None }
    }
}

impl From<&str> for Refusal {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use aya::sys::SyscallError;

    use super::*;

    #[test]
    fn a_number_is_found_among_the_causes() {
        let io_error = io::Error::from_raw_os_error(libc::EMFILE);
        let error = MapError::SyscallError(SyscallError { call: "bpf_map_create", io_error });
        let refusal = Refusal::from(error).and("raise the limit");
        assert_eq!(refusal.errno(), Some(libc::EMFILE));
        let text = refusal.to_string();
        assert!(text.contains("bpf_map_create") && text.contains("Too many open files"), "{text}");
        assert!(text.ends_with("; raise the limit"), "{text}");
        assert_eq!(Refusal::from("Too many open files").errno(), None);
    }
}
