//! Changes to the programs' instructions, by the features of the kernel.

use aya_obj::{
    Function,
    generated::{
        BPF_CALL, BPF_DW, BPF_IMM, BPF_JMP, BPF_K, BPF_LD, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC,
        BPF_PSEUDO_KFUNC_CALL,
    },
};
use tracer_common::preemption;

const CALL: u8 = (BPF_JMP | BPF_CALL) as u8;
/// `goto +0`
const NOTHING: u8 = (BPF_JMP | BPF_K) as u8;

/// Removes pointers to callbacks, which a kernel without such helpers rejects. The program tests for the
/// helper first, so they are never used there. A call to the same function replaces each pointer, because
/// every function must be reachable.
pub fn forget_callbacks(function: &mut Function) {
    const POINTER: u8 = (BPF_LD | BPF_IMM | BPF_DW) as u8;
    let instructions = &mut function.instructions;
    for at in 0..instructions.len().saturating_sub(1) {
        let [first, second] = [at, at + 1];
        let is_pointer = instructions[first].code == POINTER
            && u32::from(instructions[first].src_reg()) == BPF_PSEUDO_FUNC;
        if is_pointer {
            instructions[first].code = CALL;
            instructions[first].set_dst_reg(0);
            instructions[first].set_src_reg(BPF_PSEUDO_CALL as u8);
            // A pointer takes two instructions.
            instructions[second].code = NOTHING;
        }
    }
}

/// Replaces the placeholders by calls to kernel functions, or by nothing where the kernel has none.
pub fn call_the_kernel(function: &mut Function, preemption: Option<[u32; 2]>) {
    for instruction in function.instructions.iter_mut().filter(|it| it.code == CALL) {
        let index = match instruction.imm {
            preemption::DISABLE => 0,
            preemption::ENABLE => 1,
            _ => continue,
        };
        match preemption {
            Some(functions) => {
                instruction.set_src_reg(BPF_PSEUDO_KFUNC_CALL as u8);
                instruction.imm = functions[index] as i32;
            }
            None => {
                instruction.code = NOTHING;
                instruction.imm = 0;
            }
        }
    }
}
