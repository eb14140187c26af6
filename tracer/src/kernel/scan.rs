//! Searching the whole kernel's machine code for calls to copy routines: an unknown way shows up by the
//! name of the function that copies.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    symbols::{Symbol, Symbols},
    text::{KernelText, TextError},
};

const CALL: u8 = 0xe8;
const JUMP: u8 = 0xe9;
const BRANCH_SIZE: usize = 5;

/// Symbols further apart than this are read in two ranges: there is nothing between modules.
const GAP: u64 = 1 << 20;

/// The functions that seem to call one of the routines, by address. Some may only contain bytes that look
/// like a call: decoding from the beginning of the function decides.
pub fn callers(
    text: &KernelText,
    symbols: &Symbols,
    routines: &BTreeSet<u64>,
) -> Result<Vec<Symbol>, TextError> {
    let mut found = BTreeMap::new();
    for (start, end) in symbols.ranges(GAP) {
        let code = text.read(start, (end - start) as usize)?;
        for address in branches(&code, start, routines) {
            if let Some(symbol) = symbols.around(address) {
                found.insert(symbol.address, symbol);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Addresses at which a near call or jump to one of the targets would begin.
fn branches<'a>(
    code: &'a [u8],
    start: u64,
    targets: &'a BTreeSet<u64>,
) -> impl Iterator<Item = u64> + 'a {
    code.windows(BRANCH_SIZE).enumerate().filter_map(move |(at, bytes)| {
        if bytes[0] != CALL && bytes[0] != JUMP {
            return None;
        }
        let displacement = i32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
        let address = start + at as u64;
        let next = address + BRANCH_SIZE as u64;
        targets.contains(&next.wrapping_add_signed(i64::from(displacement))).then_some(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_calls_and_jumps_to_a_target_are_found() {
        // nop; call +0x10; jmp -6 (to the call); call elsewhere
        let code = [0x90, 0xe8, 0x10, 0, 0, 0, 0xe9, 0xf6, 0xff, 0xff, 0xff, 0xe8, 0x99, 0, 0, 0];
        let targets = BTreeSet::from([0x1016, 0x1001]);
        let found: Vec<u64> = branches(&code, 0x1000, &targets).collect();
        assert_eq!(found, [0x1001, 0x1006]);
    }
}
