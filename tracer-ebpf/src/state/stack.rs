//! Stacks of the kernel and of the program at the moment of a copy.

use aya_ebpf::{
    bindings::BPF_F_USER_STACK, macros::map, maps::StackTrace, programs::tracing::StackIdContext,
};
use tracer_common::{
    Key, Stacks,
    stack::{AT_CALLS, AT_COPIES, StackId},
};

use crate::kernel::option;

/// Stacks of the even epoch.
#[map]
static STACKS_EVEN: StackTrace = StackTrace::with_max_entries(1, 0);

/// Stacks of the odd epoch.
#[map]
static STACKS_ODD: StackTrace = StackTrace::with_max_entries(1, 0);

/// A copy that the current thread makes for itself: the stacks of the kernel and of the program.
#[inline(always)]
pub fn of_copy(ctx: &impl StackIdContext, key: Key) -> Key {
    if option!(stacks) != AT_COPIES {
        return key;
    }
    in_both(ctx, key)
}

/// As [`of_copy`], where a copy is seen in every tier.
#[inline(always)]
pub fn of_any_copy(ctx: &impl StackIdContext, key: Key) -> Key {
    if option!(stacks) == 0 {
        return key;
    }
    in_both(ctx, key)
}

/// A copy that the program makes itself: its stack.
#[inline(always)]
pub fn of_user_copy(ctx: &impl StackIdContext, key: Key) -> Key {
    if option!(stacks) == 0 {
        return key;
    }
    Key { stacks: Stacks { kernel: StackId::NONE, user: user(ctx, key) }, ..key }
}

/// Whether there is a stack of the program.
#[inline(always)]
pub fn is_taken(key: Key) -> bool {
    key.stacks.user != StackId::NONE
}

/// A copy on behalf of a socket, in whatever thread runs: the kernel's stack.
#[inline(always)]
pub fn of_packet_copy(ctx: &impl StackIdContext, key: Key) -> Key {
    if option!(stacks) != AT_COPIES {
        return key;
    }
    Key { stacks: Stacks { kernel: id(ctx, key, 0), user: StackId::NONE }, ..key }
}

/// A call whose copies are not seen: the program's stack.
#[inline(always)]
pub fn of_call(ctx: &impl StackIdContext, key: Key) -> Key {
    if option!(stacks) != AT_CALLS {
        return key;
    }
    Key { stacks: Stacks { kernel: StackId::NONE, user: user(ctx, key) }, ..key }
}

#[inline(always)]
fn in_both(ctx: &impl StackIdContext, key: Key) -> Key {
    Key { stacks: Stacks { kernel: id(ctx, key, 0), user: user(ctx, key) }, ..key }
}

#[inline(always)]
fn user(ctx: &impl StackIdContext, key: Key) -> StackId {
    id(ctx, key, u64::from(BPF_F_USER_STACK))
}

#[inline(always)]
fn id(ctx: &impl StackIdContext, key: Key, flags: u64) -> StackId {
    let found = match key.epoch {
        0 => ctx.get_stackid(&STACKS_EVEN, flags),
        _ => ctx.get_stackid(&STACKS_ODD, flags),
    };
    match found {
        Ok(id) => StackId(id as u16 + 1),
        // Another stack has its slot, or it lies in memory that is not present.
        Err(_) => StackId::LOST,
    }
}
