//! This machine's terminal, lent to a guest.

use std::sync::{Mutex, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::guest::protocol::Size;

/// The settings to go back to. Static, so that every way out can restore them.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Hands every key to the guest while it lives.
pub struct Raw(());

impl Raw {
    /// Switches the terminal on stdin.
    pub fn enter() -> std::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        tcsetattr(&stdin, OptionalActions::Drain, &raw)?;
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal back, if it was changed.
pub fn restore() {
    if let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // Nothing can be done about a terminal that is gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &before);
    }
}

/// The size of the terminal on stdout.
pub fn size() -> Option<Size> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(Size { rows: size.ws_row, columns: size.ws_col })
}
