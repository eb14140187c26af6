//! The machine code of the functions that call copy routines.

use std::collections::BTreeSet;

use super::catalogue::{CALLERS, ROUTINES};
use crate::kernel::{
    FunctionText, scan,
    symbols::{Symbol, Symbols},
    text::{KernelText, TextError},
};

/// The range of the search for calls to copy routines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breadth {
    /// In the callers of the catalogue.
    #[default]
    Catalogue,
    /// In the whole text of the kernel and its modules.
    Everywhere,
}

/// Reads the machine code of the running kernel.
pub fn read(symbols: &Symbols, breadth: Breadth) -> Result<Vec<FunctionText>, TextError> {
    let kernel = KernelText::open_running()?;
    let known = CALLERS
        .iter()
        .flat_map(|caller| symbols.variants(caller.name).into_iter().map(|it| (caller.name, it)));
    let read = |caller: &str, symbol: Symbol| -> Result<FunctionText, TextError> {
        Ok(FunctionText {
            caller: caller.to_owned(),
            code: kernel.read(symbol.address, symbol.size as usize)?,
            symbol: symbol.name,
            address: symbol.address,
        })
    };
    let mut texts: Vec<FunctionText> =
        known.map(|(caller, symbol)| read(caller, symbol)).collect::<Result<_, _>>()?;
    if breadth == Breadth::Everywhere {
        let addresses: BTreeSet<u64> = texts.iter().map(|text| text.address).collect();
        let routines = ROUTINES.iter().filter_map(|routine| symbols.address(routine.name));
        let callers = scan::callers(&kernel, symbols, &routines.collect())?;
        for symbol in callers.into_iter().filter(|it| !addresses.contains(&it.address)) {
            // A clone is named like its original function.
            let name = symbol.name.split('.').next().unwrap_or_default().to_owned();
            texts.push(read(&name, symbol)?);
        }
    }
    Ok(texts)
}
