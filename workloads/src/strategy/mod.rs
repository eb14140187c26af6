//! The strategies: a folder a [`Route`], a file a strategy. A new one is one new file, and one line in
//! the list of its route: see `docs/new-strategy.md`.

use std::{io, sync::LazyLock};

use crate::{Error, Result, Route};

mod buffers;
pub(crate) mod calls;
pub(crate) mod contract;
pub(crate) mod counterpart;
mod datagrams;
mod file_to_file;
mod file_to_socket;
mod memory;
mod memory_to_socket;
mod notifications;
pub(crate) mod pipe;
mod process_to_process;
mod receive;
mod socket_option;

pub use contract::Strategy;

/// Every strategy, by route.
pub static STRATEGIES: LazyLock<Vec<&Strategy>> = LazyLock::new(|| {
    [
        file_to_socket::STRATEGIES,
        memory_to_socket::STRATEGIES,
        file_to_file::STRATEGIES,
        process_to_process::STRATEGIES,
        receive::STRATEGIES,
        datagrams::STRATEGIES,
    ]
    .concat()
});

/// The strategy of this name.
pub fn find(name: &str) -> Result<&'static Strategy> {
    STRATEGIES.iter().copied().find(|strategy| strategy.name == name).ok_or_else(|| {
        let known: Vec<_> = STRATEGIES.iter().map(|strategy| strategy.name).collect();
        Error::UnknownStrategy { name: name.to_owned(), known: known.join(", ") }
    })
}

/// Writes every strategy with the kernel it needs and its description, by route.
pub fn write_list(out: &mut dyn io::Write) -> io::Result<()> {
    for (index, route) in Route::ALL.into_iter().enumerate() {
        writeln!(out, "{}{route}", if index == 0 { "" } else { "\n" })?;
        for strategy in STRATEGIES.iter().filter(|strategy| strategy.route == route) {
            let (name, needs) = (strategy.name, strategy.needs);
            writeln!(out, "  {name:<19} {needs:<13} {}", strategy.summary)?;
        }
    }
    Ok(())
}
