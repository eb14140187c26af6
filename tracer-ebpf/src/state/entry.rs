//! Entries of maps.

use core::ops::{Deref, DerefMut};

use aya_ebpf::maps::{HashMap, PerCpuArray, PerCpuHashMap};

/// An entry of a map. It stays valid while the program runs, even if it is removed from its map
/// meanwhile.
pub struct Entry<T>(*mut T);

impl<T> Clone for Entry<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Entry<T> {}

impl<T> Deref for Entry<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the pointer came from a map. Its values are numbers: any that another CPU writes is
        // valid.
        unsafe { &*self.0 }
    }
}

impl<T> DerefMut for Entry<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.0 }
    }
}

/// Maps with entries; in a per-CPU map, the entry of this CPU.
pub trait Entries<K, T> {
    /// The entry of a key.
    fn entry(&self, key: &K) -> Option<Entry<T>>;
}

impl<K, T> Entries<K, T> for HashMap<K, T> {
    #[inline(always)]
    fn entry(&self, key: &K) -> Option<Entry<T>> {
        self.get_ptr_mut(key).map(Entry)
    }
}

impl<K, T> Entries<K, T> for PerCpuHashMap<K, T> {
    #[inline(always)]
    fn entry(&self, key: &K) -> Option<Entry<T>> {
        self.get_ptr_mut(key).map(Entry)
    }
}

impl<T> Entries<u32, T> for PerCpuArray<T> {
    #[inline(always)]
    fn entry(&self, key: &u32) -> Option<Entry<T>> {
        self.get_ptr_mut(*key).map(Entry)
    }
}
