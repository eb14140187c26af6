//! Call sites: where in a function's machine code a copy routine is called.

use std::collections::BTreeMap;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};

use super::catalogue::{CALLERS, ROUTINES, Routine};
use crate::kernel::{Facts, FunctionText};

/// A `call`, or a `jmp` at the function's end, to a copy routine.
#[derive(Clone, Debug)]
pub struct CallSite {
    /// Address of the instruction.
    pub address: u64,
    /// Distance from the start of the function.
    pub offset: u64,
    /// The caller's name in the catalogue.
    pub caller: String,
    /// The symbol the instruction is in.
    pub symbol: String,
    /// The called routine.
    pub routine: &'static Routine,
    /// A `jmp`: the routine returns to the caller's caller.
    pub tail: bool,
}

impl CallSite {
    /// Whether the catalogue has its caller.
    pub fn is_known(&self) -> bool {
        CALLERS.iter().any(|caller| caller.name == self.caller)
    }

    /// `tcp_sendmsg_locked+0x375 → _copy_from_iter`
    pub fn label(&self) -> String {
        format!("{}+{:#x} → {}", self.symbol, self.offset, self.routine.name)
    }
}

const INT3: u8 = 0xcc;
const CALL: u8 = 0xe8;
const NEAR_BRANCH_SIZE: usize = 5;

/// Finds the calls to copy routines in all text that was read of a kernel.
pub fn all(facts: &Facts) -> Vec<CallSite> {
    let known = ROUTINES.iter().filter_map(|it| Some((*facts.symbols.get(it.name)?, it)));
    let routines = known.collect();
    let is_routine = |name: &str| ROUTINES.iter().any(|routine| routine.name == name);
    let callers = facts.texts.iter().filter(|text| !is_routine(&text.caller));
    callers.flat_map(|text| find(text, &routines)).collect()
}

/// Finds the calls to `routines` (by address) in a function.
pub fn find(text: &FunctionText, routines: &BTreeMap<u64, &'static Routine>) -> Vec<CallSite> {
    let mut code = text.code.clone();
    uncover_probed_calls(&mut code, text.address, routines);
    let mut decoder = Decoder::with_ip(64, &code, text.address, DecoderOptions::NONE);
    let mut sites = Vec::new();
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let flow = instruction.flow_control();
        if !matches!(flow, FlowControl::Call | FlowControl::UnconditionalBranch)
            || instruction.op0_kind() != OpKind::NearBranch64
        {
            continue;
        }
        if let Some(routine) = routines.get(&instruction.near_branch_target()) {
            sites.push(CallSite {
                address: instruction.ip(),
                offset: instruction.ip() - text.address,
                caller: text.caller.clone(),
                symbol: text.symbol.clone(),
                routine,
                tail: flow == FlowControl::UnconditionalBranch,
            });
        }
    }
    sites
}

/// If another tool has a kprobe there, the first byte is a breakpoint; the following bytes still identify
/// a call to a known routine.
fn uncover_probed_calls(code: &mut [u8], address: u64, routines: &BTreeMap<u64, &'static Routine>) {
    for at in 0..code.len().saturating_sub(NEAR_BRANCH_SIZE - 1) {
        if code[at] != INT3 {
            continue;
        }
        let displacement =
            i32::from_le_bytes([code[at + 1], code[at + 2], code[at + 3], code[at + 4]]);
        let next = address + (at + NEAR_BRANCH_SIZE) as u64;
        if routines.contains_key(&next.wrapping_add_signed(i64::from(displacement))) {
            code[at] = CALL;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTION: u64 = 0xffff_ffff_8100_0000;
    const ROUTINE: u64 = 0xffff_ffff_8200_0000;

    fn routines() -> BTreeMap<u64, &'static Routine> {
        BTreeMap::from([(ROUTINE, &ROUTINES[0])])
    }

    fn branch(opcode: u8, at: u64, target: u64) -> Vec<u8> {
        let displacement = target.wrapping_sub(at + 5) as u32;
        [&[opcode][..], &displacement.to_le_bytes()].concat()
    }

    fn text(code: Vec<u8>) -> FunctionText {
        let name = "simple_copy_to_iter".to_owned();
        FunctionText { caller: name.clone(), symbol: name, address: FUNCTION, code }
    }

    #[test]
    fn finds_calls_and_tail_jumps_and_nothing_else() {
        let mut code = vec![0x90, 0x55]; // nop; push rbp
        code.extend(branch(0xe8, FUNCTION + 2, ROUTINE));
        code.extend(branch(0xe8, FUNCTION + 7, ROUTINE + 16)); // somebody else
        code.extend([0x5d]); // pop rbp
        code.extend(branch(0xe9, FUNCTION + 13, ROUTINE));
        let sites = find(&text(code), &routines());
        let found: Vec<_> = sites.iter().map(|site| (site.offset, site.tail)).collect();
        assert_eq!(found, [(2, false), (13, true)]);
        assert_eq!(sites[0].label(), "simple_copy_to_iter+0x2 → _copy_to_iter");
    }

    #[test]
    fn bytes_inside_an_instruction_are_no_call() {
        // mov rax, imm64 whose immediate looks like a call to the routine
        let mut code = vec![0x48, 0xb8];
        code.extend(branch(0xe8, FUNCTION + 2, ROUTINE));
        code.extend([0, 0, 0, 0xc3]);
        assert!(find(&text(code), &routines()).is_empty());
    }

    #[test]
    fn a_call_under_a_probe_is_found() {
        let code = branch(INT3, FUNCTION, ROUTINE);
        assert_eq!(find(&text(code), &routines()).len(), 1);
    }
}
